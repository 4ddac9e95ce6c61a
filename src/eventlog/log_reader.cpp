#include "eventlog/log_reader.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/frame_reader.hpp"
#include "eventlog/planted_fault.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

constexpr std::size_t walk_piece = 128u << 10u;   // bytes read at a time in log order
constexpr std::size_t stream_window = 64u << 10u; // bytes read at once where a stream stands dense
constexpr std::size_t record_guess = 1024;        // bytes read for one record at first

std::unexpected<base::error> environment(const base::file_error& problem) {
    base::log_error("eventlog", "a read failed", {{"cause", problem.text}});
    return fail(errc::unavailable, "the log could not be read", "io_error");
}

std::unexpected<base::error> damaged(const segment& in, base::position at) {
    std::string message = fmt::format("{} is damaged at offset {}", in.name(), in.offset_of(at));
    base::log_error("eventlog", message, {{"position", at.value}});
    return fail(errc::corrupt, std::move(message));
}

// Puts wanted records of whole frames into a forwards slice until it is full.
class forwards_taker {
public:
    forwards_taker(log_slice& out, base::position from, std::size_t count_max,
                   const record_filter& filter, std::size_t considered_max)
        : out_(out), from_(from), count_max_(count_max), filter_(filter),
          considered_max_(considered_max) {}

    // False: the slice is full, or the frame is damaged (see `walk`).
    bool take(const frame_view& frame, record_walk& walk) {
        record_view record;
        bool full = false;
        while (!full && walk.next(record)) {
            if (record.position < from_) {
                continue;
            }
            out_.last_seen = record.position;
            ++out_.considered;
            if (!record.removed() && (!filter_ || filter_(record))) {
                out_.events.push_back(to_event(record));
            }
            full = out_.events.size() == count_max_ || out_.considered >= considered_max_;
            out_.next = record.last_in_batch() ? frame.end() : record.end();
        }
        if (walk.damaged()) {
            return false;
        }
        out_.next = full && !is_planted(planted_fault::resume_skips) ? out_.next : frame.end();
        if (out_.next == frame.end()) {
            out_.whole = out_.events.size();
            out_.whole_next = out_.next;
            out_.whole_last_seen = out_.last_seen;
            out_.whole_considered = out_.considered;
        }
        return !full;
    }

private:
    log_slice& out_;
    base::position from_;
    std::size_t count_max_;
    const record_filter& filter_;
    std::size_t considered_max_;
};

} // namespace

base::position log_reader::limit_of(const segment& one, base::position end) const {
    return std::min(end, segments_.end_of(one).value_or(end));
}

base::result<base::position> log_reader::frame_before(const segment& in, base::position at,
                                                      base::position end) const {
    const auto known = index_.frame_before(at, end);
    return known ? base::result<base::position>(std::max(*known, in.first_frame())) : known;
}

base::result<std::size_t> log_reader::read_bytes(const segment& from, base::position at,
                                                 base::position end,
                                                 std::span<std::byte> out) const {
    const std::uint64_t present = limit_of(from, end).value - at.value;
    const auto got = from.contents().read_at(
        from.offset_of(at), out.first(std::min<std::uint64_t>(out.size(), present)));
    if (!got) {
        return environment(got.error());
    }
    return *got;
}

base::result<record_view> log_reader::read_record(base::position at, base::position end,
                                                  std::vector<std::byte>& buffer) const {
    IMMORTAL_ASSERT(at < end);
    const auto in = segments_.find(at);
    std::size_t wanted = record_guess;
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (buffer.size() < wanted) {
            buffer.resize(wanted);
        }
        const auto got = read_bytes(*in, at, end, std::span(buffer).first(wanted));
        if (!got) {
            return fail(got.error());
        }
        record_view record;
        const auto outcome = parse_record(std::span(buffer).first(*got), at, record);
        if (outcome == parse_outcome::good) {
            return record;
        }
        if (outcome == parse_outcome::damaged || *got < sizeof(format::record_header)) {
            break;
        }
        wanted = format::load<format::record_header>(buffer).length;
        if (wanted > limit_of(*in, end).value - at.value) {
            break;
        }
    }
    return damaged(*in, at);
}

base::result<std::size_t> log_reader::collect(std::span<const base::position> positions,
                                              base::position end, read_meter& meter,
                                              const record_user& use) const {
    std::vector<std::byte> buffer;
    std::size_t held = 0; // bytes of the log from `begin` on that stand in `buffer`
    base::position begin;
    std::shared_ptr<segment> in;
    for (std::size_t i = 0; i < positions.size(); ++i) {
        const base::position at = positions[i];
        record_view record;
        const std::uint64_t skip = at.value - begin.value;
        const bool held_whole =
            held > skip && parse_record(std::span(buffer).subspan(skip, held - skip), at, record) ==
                               parse_outcome::good;
        if (!held_whole) {
            held = 0;
            // Neighbours that stand dense are read at once.
            std::size_t near = i;
            while (near + 1 < positions.size() &&
                   positions[near + 1].value - at.value < stream_window - record_guess) {
                ++near;
            }
            const std::uint64_t span = positions[near].value - at.value + record_guess;
            const std::size_t wanted = span / (near - i + 1) <= 4096 ? span : record_guess;
            if (near > i && wanted == span) {
                in = segments_.find(at);
                buffer.resize(std::max(buffer.size(), wanted));
                const auto got = read_bytes(*in, at, end, std::span(buffer).first(wanted));
                if (!got) {
                    return fail(got.error());
                }
                begin = at;
                held = *got;
            }
            if (held == 0 ||
                parse_record(std::span(buffer).first(held), at, record) != parse_outcome::good) {
                held = 0;
                auto single = read_record(at, end, buffer);
                if (!single) {
                    return fail(single.error());
                }
                record = *single;
            }
        }
        if (!record.removed()) {
            if (auto used = use(record, i); !used) {
                return fail(std::move(used.error()));
            }
        }
        meter.count(record.length);
        if (meter.spent() || (!held_whole && meter.is_late())) {
            return i + 1;
        }
    }
    return positions.size();
}

base::result<log_slice> log_reader::forwards(base::position from, std::size_t count_max,
                                             const record_filter& filter,
                                             std::uint64_t scan_bytes_max, read_start where,
                                             std::size_t considered_max) const {
    const base::position end = head_.end();
    bool at_boundary = where == read_start::boundary;
    log_slice out;
    out.next = std::min(from, end);
    forwards_taker taker(out, from, count_max, filter, considered_max);
    std::uint64_t scanned = 0;
    while (out.next < end && scanned < scan_bytes_max && out.events.size() < count_max &&
           out.considered < considered_max) {
        const auto in = segments_.find(out.next);
        const base::position limit = limit_of(*in, end);
        base::position begin = std::max(out.next, in->first_frame());
        if (!at_boundary) {
            const auto frame = frame_before(*in, out.next, end);
            if (!frame) {
                return fail(frame.error());
            }
            begin = *frame;
        }
        if (begin >= limit) { // a segment without durable frames, or only its header
            out.next = limit;
            continue;
        }
        frame_reader reader(in->contents(), in->first(), begin, limit, walk_piece);
        frame_view frame;
        for (;;) {
            const auto outcome = reader.next(frame);
            if (!outcome) {
                return environment(outcome.error());
            }
            if (*outcome == frame_reader::outcome::end) {
                out.next = std::max(out.next, limit);
                break;
            }
            if (*outcome != frame_reader::outcome::frame) {
                if (!at_boundary) {
                    return damaged(*in, reader.at());
                }
                at_boundary = false; // an event within a frame: find the frame
                break;
            }
            at_boundary = false;
            if (frame.end() <= from) {
                continue;
            }
            record_walk walk(frame);
            const bool more = taker.take(frame, walk);
            if (walk.damaged()) {
                return damaged(*in, walk.at());
            }
            scanned += frame.header.length;
            if (!more || scanned >= scan_bytes_max) {
                break;
            }
        }
    }
    out.end = out.next >= end;
    return out;
}

base::result<log_slice> log_reader::backwards(base::position from, std::size_t count_max,
                                              const record_filter& filter,
                                              std::uint64_t scan_bytes_max) const {
    log_slice out;
    out.next = std::min(from, head_.end());
    const base::position oldest = segments_.find({0})->first_frame();
    std::uint64_t scanned = 0;
    std::vector<std::byte> block;
    while (out.next > oldest && scanned < scan_bytes_max && out.events.size() < count_max) {
        // The block of frames that holds the byte before `next`.
        const base::position before{out.next.value - 1};
        const auto in = segments_.find(before);
        const auto known = frame_before(*in, before, head_.end());
        if (!known) {
            return fail(known.error());
        }
        const base::position begin = *known;
        if (begin > before) { // within the segment's header
            out.next = in->first();
            continue;
        }
        frame_reader reader(in->contents(), in->first(), begin, limit_of(*in, head_.end()),
                            walk_piece);
        std::vector<recorded_event> found;
        frame_view frame;
        while (reader.at() < out.next) {
            const auto outcome = reader.next(frame);
            if (!outcome) {
                return environment(outcome.error());
            }
            if (*outcome != frame_reader::outcome::frame) {
                return damaged(*in, reader.at());
            }
            record_view record;
            record_walk walk(frame);
            while (walk.next(record)) {
                if (record.position < out.next && !record.removed() &&
                    (!filter || filter(record))) {
                    found.push_back(to_event(record));
                }
            }
            if (walk.damaged()) {
                return damaged(*in, walk.at());
            }
        }
        scanned += out.next.value - begin.value;
        out.next = begin == in->first_frame() ? in->first() : begin;
        for (auto event = found.rbegin(); event != found.rend(); ++event) {
            out.events.push_back(std::move(*event));
            if (out.events.size() == count_max) {
                const bool all_taken = std::next(event) == found.rend();
                out.next = all_taken ? out.next : out.events.back().position;
                break;
            }
        }
    }
    out.end = out.next <= oldest;
    return out;
}

} // namespace immortal::eventlog
