// Writes what clients of a store asked and were told, as the JSON lines that tests/fault/checker
// reads. Every line is one write to a file opened for appending: a kill loses none that was
// written.
#pragma once

#include "eventlog/event.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace immortal::faults {

// Thread-safe.
class history {
public:
    explicit history(const std::string& path);
    ~history();
    history(const history&) = delete;
    history& operator=(const history&) = delete;

    void boot();
    // `retry_of`: the operation whose events are repeated, or the same number.
    void append_begins(std::uint64_t op, std::uint64_t retry_of,
                       std::span<const eventlog::stream_write> writes);
    void append_ends(std::uint64_t op, const eventlog::append_outcome& outcome);
    void delete_begins(std::uint64_t op, const eventlog::stream_write& write);
    // `first_readable`: the revision before which a soft delete hides what was there.
    void delete_ends(std::uint64_t op, base::revision first_readable);
    void refused(std::uint64_t op);
    void unknown(std::uint64_t op);
    void read_begins(std::uint64_t op, const std::string& stream); // empty: the whole log
    void read_ends(std::uint64_t op, std::span<const eventlog::recorded_event> events);
    // `stream`: of a subscription to one stream; empty: to all.
    void subscribed(std::uint64_t sub, std::int64_t after, const std::string& resumes,
                    const std::string& stream = {});
    void caught_up(std::uint64_t sub);
    void progress(std::uint64_t sub, base::position position);
    void delivered(std::uint64_t sub, std::span<const eventlog::recorded_event> events);

private:
    void write(std::string line);
    int fd_ = -1;
};

} // namespace immortal::faults
