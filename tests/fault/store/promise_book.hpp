// What a store was asked, what it answered, and whether what it holds agrees: the promises that
// tests/fault/checker calls L1 to L7 and L9, for a harness that drives a log in its own process.
#pragma once

#include "base/result.hpp"
#include "eventlog/log.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace immortal::faults {

// Thread-safe.
class promise_book {
public:
    enum class rivalry : bool { none, contended }; // contended: another append may have its place

    // Writes down that an append is about to be made; gives its number. Its events are made here:
    // `counts` events for each stream, their ids and data say number and place.
    std::uint64_t begin(std::vector<eventlog::stream_write> streams,
                        const std::vector<std::size_t>& counts, std::size_t padding,
                        rivalry kind = rivalry::none);
    [[nodiscard]] std::vector<eventlog::stream_write> writes(std::uint64_t number) const;
    // Also for repetitions of the same append.
    void finish(std::uint64_t number, const base::result<eventlog::append_outcome>& outcome);
    void accuse(std::string problem); // the harness itself saw a broken promise
    void saw(const eventlog::recorded_event& event);
    void saw(const eventlog::log_head& head);

    [[nodiscard]] std::uint64_t acknowledged() const;
    [[nodiscard]] std::optional<base::position> last_acknowledged() const;
    [[nodiscard]] std::vector<std::uint64_t> unknown() const;
    [[nodiscard]] std::vector<std::uint64_t> answered() const; // acknowledged appends with events

    // Reads everything, in small pages. Empty: all promises hold.
    [[nodiscard]] std::string violation(eventlog::log& log);
    // Repeats the appends of unknown outcome, appends something new, and reads everything again.
    [[nodiscard]] std::string settle(eventlog::log& log);

private:
    enum class fate : std::uint8_t { unknown, acknowledged, refused };
    struct entry {
        std::vector<eventlog::stream_write> writes;
        fate what = fate::unknown;
        rivalry kind = rivalry::none;
        bool maybe_there = false; // an answer was "unknown": a refusal since says nothing
        std::size_t events = 0;
        base::position position;
        std::vector<std::optional<base::revision>> last_revisions;
    };
    // Whether a later append was acknowledged that wrote to a stream of which this one expects a
    // revision: if it did not take place before, it cannot any more.
    [[nodiscard]] bool overtaken(std::uint64_t number) const;
    struct reading; // one pass over a log
    [[nodiscard]] std::string check_stream(eventlog::log& log, const std::string& stream,
                                           const std::vector<base::uuid>& ids) const;

    mutable std::mutex mutex_;
    std::vector<entry> entries_;
    std::map<std::uint64_t, base::uuid> seen_; // by position
    base::position seen_end_;
    std::string problem_; // found when an answer came
};

// Makes an append and waits for its answer, which is written down.
base::result<eventlog::append_outcome> ask(eventlog::log& log, promise_book& book,
                                           std::uint64_t number);

} // namespace immortal::faults
