// Appends that were asked of a log, what became of each, and whether a log agrees: for harnesses
// whose writer is another process, and whose logs hold deleted, hidden and scavenged events too.
#pragma once

#include "eventlog/log.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace immortal::faults {

// Appends have numbers, ascending from 0; the number gives ids and data. One thread.
class ledger {
public:
    enum class fate : std::uint8_t { not_begun, begun, acknowledged, refused };
    // Whether a scavenge may take the events away: they are hidden for good.
    enum class future : bool { stays, may_go };

    // Plans an append: `counts` events for each stream. Gives its number.
    std::uint64_t plan(std::vector<eventlog::stream_write> streams,
                       const std::vector<std::size_t>& counts, std::size_t padding = 0,
                       future what = future::stays);
    // Plans one whose events are given, or that deletes.
    std::uint64_t plan(eventlog::stream_write write);
    [[nodiscard]] const std::vector<eventlog::stream_write>& writes(std::uint64_t number) const {
        return entries_.at(number).writes;
    }
    [[nodiscard]] std::uint64_t size() const { return entries_.size(); }
    void note(std::uint64_t number, fate what, base::position position = {});
    [[nodiscard]] std::uint64_t count(fate what) const;

    // All that was planned was written: reads where it stands. Empty: it is all there.
    [[nodiscard]] std::string learn(eventlog::log& log);

    // Reads everything. Empty: all promises hold.
    [[nodiscard]] std::string violation(eventlog::log& log) const;
    // Repeats what has no known outcome, appends something new, and reads everything again.
    [[nodiscard]] std::string settle(eventlog::log& log);

private:
    struct entry {
        std::vector<eventlog::stream_write> writes;
        std::size_t events = 0;
        future what = future::stays;
        fate outcome = fate::not_begun;
        base::position position;
    };
    struct reading;
    [[nodiscard]] std::string check_found(const reading& pass) const;
    [[nodiscard]] std::string check_streams(eventlog::log& log, const reading& pass) const;
    [[nodiscard]] std::string check_deletes(eventlog::log& log) const;
    [[nodiscard]] bool is_touched_by_delete(std::string_view stream) const;

    std::vector<entry> entries_;
};

// Waits for the answer.
[[nodiscard]] base::result<eventlog::append_outcome>
append_and_wait(eventlog::log& log, std::vector<eventlog::stream_write> writes);

} // namespace immortal::faults
