// Reads of an open log: by stream, and in log order both ways.
#pragma once

#include "eventlog/index.hpp"
#include "eventlog/large_frames.hpp"
#include "eventlog/log.hpp"
#include "eventlog/metadata_cache.hpp"
#include "eventlog/read_meter.hpp"
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

class forwards_taker;
struct forwards_pass;

// Thread-safe. What it refers to outlives it.
class log_reader {
public:
    log_reader(segment_list& segments, log_index& index, const durable_head& head,
               base::clock& clock, std::size_t known_metadata)
        : segments_(segments), index_(index), head_(head), clock_(clock),
          metadata_(known_metadata) {}

    // As in class log.
    [[nodiscard]] base::result<stream_slice> read_stream(std::string_view stream,
                                                         base::revision from, direction way,
                                                         std::size_t count_max,
                                                         const read_bounds& bounds);
    [[nodiscard]] base::result<view_slice> read_view(index_view view, std::string_view name,
                                                     std::uint64_t from, direction way,
                                                     std::size_t count_max,
                                                     const read_bounds& bounds) const;
    [[nodiscard]] base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events);
    [[nodiscard]] base::result<stream_info> info(std::string_view stream);
    [[nodiscard]] base::result<std::optional<recorded_event>>
    tombstone(std::string_view stream) const;
    // Called by the writer after the durable head moved over an event of the stream's metadata.
    void forget_metadata(std::string_view stream) { metadata_.forget(stream); }
    [[nodiscard]] base::result<log_slice> forwards(base::position from, std::size_t count_max,
                                                   const record_filter& filter,
                                                   std::uint64_t scan_bytes_max, read_start where,
                                                   std::size_t considered_max) const;
    [[nodiscard]] base::result<log_slice> backwards(base::position from, std::size_t count_max,
                                                    const record_filter& filter,
                                                    std::uint64_t scan_bytes_max) const;

    // The record at a position the index named, before `end`. Copies its bytes into `buffer`, which
    // `out` refers to. It may be one that a scavenge removed.
    [[nodiscard]] base::result<record_view> read_record(base::position at, base::position end,
                                                        std::vector<std::byte>& buffer) const;

private:
    // Walks the records of a large frame from one that is known, at or before `at`, up to the first
    // that begins at or after `end`, or until `use` says false.
    [[nodiscard]] base::status walk_large(const segment& in, const large_frame& frame,
                                          base::position at, base::position end,
                                          const std::function<bool(const record_view&)>& use) const;
    // What a reader may see of a stream.
    struct shown_part {
        base::position end;                 // of the log, when this was found out
        std::optional<base::revision> last; // hidden events count
        base::revision lowest;              // nothing before it is shown; may be beyond `last`
        bool soft_deleted = false;
        bool tombstoned = false;
    };
    [[nodiscard]] base::result<shown_part> part_of(std::string_view stream);
    // Precondition: not of a metadata stream, whose metadata never changes.
    [[nodiscard]] base::result<metadata_cache::pointer> find_metadata(std::string_view stream,
                                                                      base::position end) const;
    // What the index said does not agree with the log.
    [[nodiscard]] std::unexpected<base::error> wrong_index() const;
    // The event at a revision up to the stream's last, or its tombstone; empty: it was removed, or
    // there is no tombstone.
    [[nodiscard]] base::result<std::optional<recorded_event>>
    event_at(std::string_view stream, base::revision at, base::position end) const;
    // The first revision at or after `from` that `$maxAge` does not hide; one past `last` if none.
    [[nodiscard]] base::result<base::revision>
    young_enough(std::string_view stream, const stream_metadata& metadata, base::revision from,
                 base::revision last, base::position end) const;
    [[nodiscard]] base::result<std::size_t> read_bytes(const segment& from, base::position at,
                                                       base::position end,
                                                       std::span<std::byte> out) const;
    // Where a frame of `in` begins, near before `at`.
    [[nodiscard]] base::result<base::position> frame_before(const segment& in, base::position at,
                                                            base::position end) const;
    [[nodiscard]] base::position limit_of(const segment& one, base::position end) const;
    // Gives the taker the frames from `begin` on, until it is full or one is to be looked for.
    [[nodiscard]] base::status take_frames(const segment& in, base::position begin,
                                           base::position limit, forwards_pass& pass) const;
    // Appends the wanted events from the frame at `begin` up to `end` to `out`, at least the last
    // `count_max`, in the order of the log. True: there may be others before them.
    [[nodiscard]] base::result<bool> take_block_back(const segment& in, base::position begin,
                                                     base::position end, std::size_t count_max,
                                                     const record_filter& filter,
                                                     std::vector<recorded_event>& out) const;
    // Gives the taker the records of a large frame from `at` on until it is full.
    [[nodiscard]] base::status take_large(const segment& in, const large_frame& frame,
                                          base::position at, forwards_taker& taker) const;
    // Appends the last `count_max` wanted events of a large frame before `end` to `out`, in the
    // order of the log. True: there may be others before them.
    [[nodiscard]] base::result<bool> take_large_back(const segment& in, const large_frame& frame,
                                                     base::position end, std::size_t count_max,
                                                     const record_filter& filter,
                                                     std::vector<recorded_event>& out) const;
    // Called with a record and its place in `positions`.
    using record_user = std::function<base::status(const record_view&, std::size_t)>;
    // Appends up to `count` events of a stream to `out`; gives how many were looked at, with those
    // that a scavenge removed: fewer than there are when `meter` is spent.
    [[nodiscard]] base::result<std::uint64_t> read_page(std::string_view stream,
                                                        base::revision from, direction way,
                                                        std::uint64_t count, base::position end,
                                                        read_meter& meter, stream_slice& out) const;
    // Looks at the records at ascending `positions` until `meter` is spent; what was removed is not
    // handed to `use`. Gives how many were looked at.
    [[nodiscard]] base::result<std::size_t> collect(std::span<const base::position> positions,
                                                    base::position end, read_meter& meter,
                                                    const record_user& use) const;
    // The same at `positions` in the order of `way`; appends what `use` makes of each to `out`, in
    // that order.
    template <typename T>
    [[nodiscard]] base::result<std::size_t>
    collect_into(std::vector<T>& out, std::span<const base::position> positions, direction way,
                 base::position end, read_meter& meter,
                 const std::function<base::result<T>(const record_view&, std::size_t)>& use) const;

    segment_list& segments_;
    log_index& index_;
    const durable_head& head_;
    base::clock& clock_;
    metadata_cache metadata_;
    mutable large_frames large_frames_;
};

} // namespace immortal::eventlog
