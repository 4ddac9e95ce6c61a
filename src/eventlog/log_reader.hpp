// Reads of an open log: by stream, and in log order both ways.
#pragma once

#include "eventlog/index.hpp"
#include "eventlog/log.hpp"
#include "eventlog/segment.hpp"

#include <atomic>

namespace immortal::eventlog {

// How far the log is durable; moved by the writer, read by everyone. What stands before end() is on
// disk and in the index.
class durable_head {
public:
    void move_to(base::position end, std::uint64_t events, base::position last_event) {
        end_.store(end.value, std::memory_order_release);
        // After the end, so that whoever sees an event named here can also read it.
        last_event_.store(events == 0 ? none : last_event.value, std::memory_order_release);
    }
    [[nodiscard]] base::position end() const { return {end_.load(std::memory_order_acquire)}; }
    [[nodiscard]] log_head get() const {
        const std::uint64_t last = last_event_.load(std::memory_order_acquire);
        return {last == none ? std::nullopt : std::optional(base::position{last}), end()};
    }

private:
    static constexpr std::uint64_t none = ~0ull;
    std::atomic<std::uint64_t> end_{0};
    std::atomic<std::uint64_t> last_event_{none};
};

// Thread-safe. What it refers to outlives it.
class log_reader {
public:
    log_reader(segment_list& segments, log_index& index, const durable_head& head)
        : segments_(segments), index_(index), head_(head) {}

    [[nodiscard]] base::result<stream_slice> read_stream(std::string_view stream,
                                                         base::revision from, direction way,
                                                         std::size_t count_max) const;
    [[nodiscard]] base::result<log_slice> forwards(base::position from, std::size_t count_max,
                                                   const record_filter& filter,
                                                   std::uint64_t scan_bytes_max,
                                                   read_start where) const;
    [[nodiscard]] base::result<log_slice> backwards(base::position from, std::size_t count_max,
                                                    const record_filter& filter,
                                                    std::uint64_t scan_bytes_max) const;

    // The record at a position the index named, before `end`. Copies its bytes into `buffer`, which
    // `out` refers to. Errors: also not_found (a scavenge removed it).
    [[nodiscard]] base::result<record_view> read_record(base::position at, base::position end,
                                                        std::vector<std::byte>& buffer) const;

private:
    [[nodiscard]] base::result<std::size_t> read_bytes(const segment& from, base::position at,
                                                       base::position end,
                                                       std::span<std::byte> out) const;
    // Where a frame of `in` begins, near before `at`.
    [[nodiscard]] base::result<base::position> frame_before(const segment& in, base::position at,
                                                            base::position end) const;
    [[nodiscard]] base::position limit_of(const segment& one, base::position end) const;
    // Reads the records at ascending `positions` into `out`.
    [[nodiscard]] base::status collect(std::span<const base::position> positions,
                                       base::position end, std::string_view stream,
                                       stream_slice& out) const;

    segment_list& segments_;
    log_index& index_;
    const durable_head& head_;
};

} // namespace immortal::eventlog
