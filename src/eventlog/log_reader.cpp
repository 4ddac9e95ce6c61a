#include "eventlog/log_reader.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/forwards_taker.hpp"
#include "eventlog/read_errors.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

constexpr std::size_t walk_piece = 128u << 10u;   // bytes read at a time in log order
constexpr std::size_t stream_window = 64u << 10u; // bytes read at once where a stream stands dense
constexpr std::uint64_t unindexed_walk_max = 4u << 20u;
constexpr std::size_t record_guess = 1024; // bytes read for one record at first

} // namespace

base::position log_reader::limit_of(const segment& one, base::position end) const {
    return std::min(end, segments_.end_of(one).value_or(end));
}

base::result<base::position> log_reader::frame_before(const segment& in, base::position at,
                                                      base::position end) const {
    const auto known = index_.frame_before(at, end);
    if (known) {
        return std::max(*known, in.first_frame());
    }
    // Without the index: from the segment's beginning, if that is no farther than a slice.
    const bool near = at.value <= in.first_frame().value + unindexed_walk_max;
    return near ? in.first_frame() : known;
}

base::result<std::size_t> log_reader::read_bytes(const segment& from, base::position at,
                                                 base::position end,
                                                 std::span<std::byte> out) const {
    const std::uint64_t present = limit_of(from, end).value - at.value;
    const auto got = from.contents().read_at(
        from.offset_of(at), out.first(std::min<std::uint64_t>(out.size(), present)));
    if (!got) {
        return read_failed(got.error());
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
    return damaged_at(*in, at);
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
    log_slice out;
    out.next = std::min(from, end);
    forwards_taker taker(out, from, count_max, filter, considered_max);
    forwards_pass pass{from, scan_bytes_max, where == read_start::boundary, out, taker};
    while (out.next < end && pass.scanned < scan_bytes_max && !taker.full()) {
        const auto in = segments_.find(out.next);
        if (const auto large = large_frames_.find(out.next)) {
            if (auto done = take_large(*in, *large, out.next, taker); !done) {
                return fail(std::move(done.error()));
            }
            pass.scanned += large->end.value - large->begin.value;
            pass.at_boundary = true;
            continue;
        }
        const base::position limit = limit_of(*in, end);
        base::position begin = std::max(out.next, in->first_frame());
        if (!pass.at_boundary) {
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
        if (auto taken = take_frames(*in, begin, limit, pass); !taken) {
            return fail(std::move(taken.error()));
        }
    }
    out.end = out.next >= end;
    return out;
}

base::status log_reader::take_frames(const segment& in, base::position begin, base::position limit,
                                     forwards_pass& pass) const {
    const auto file = in.hold();
    if (!file) {
        return read_failed(file.error());
    }
    frame_reader reader(**file, in.first(), begin, limit, walk_piece);
    frame_view frame;
    for (;;) {
        const auto outcome = reader.next(frame, large_frame_min);
        if (!outcome) {
            return read_failed(outcome.error());
        }
        if (*outcome == frame_reader::outcome::end) {
            pass.out.next = std::max(pass.out.next, limit);
            return {};
        }
        if (*outcome != frame_reader::outcome::frame) {
            if (!pass.at_boundary) {
                return damaged_at(in, reader.at());
            }
            pass.at_boundary = false; // an event within a frame: find the frame
            return {};
        }
        pass.at_boundary = false;
        if (frame.end() <= pass.from) {
            continue;
        }
        if (frame.bytes.empty()) { // a large one: the next round takes it
            large_frames_.add({frame.begin(), frame.end()});
            pass.out.next = std::max(pass.out.next, frame.begin());
            return {};
        }
        record_walk walk(frame);
        const bool more = pass.taker.take(frame, walk);
        if (walk.damaged()) {
            return damaged_at(in, walk.at());
        }
        pass.scanned += frame.header.length;
        if (!more || pass.scanned >= pass.scan_bytes_max) {
            return {};
        }
    }
}

base::result<bool> log_reader::take_block_back(const segment& in, base::position begin,
                                               base::position end, std::size_t count_max,
                                               const record_filter& filter,
                                               std::vector<recorded_event>& out) const {
    bool cut = false;
    const auto file = in.hold();
    if (!file) {
        return read_failed(file.error());
    }
    frame_reader reader(**file, in.first(), begin, limit_of(in, head_.end()), walk_piece);
    frame_view frame;
    while (reader.at() < end) {
        const auto outcome = reader.next(frame, large_frame_min);
        if (!outcome) {
            return read_failed(outcome.error());
        }
        if (*outcome != frame_reader::outcome::frame) {
            return damaged_at(in, reader.at());
        }
        if (frame.bytes.empty()) {
            const auto taken =
                take_large_back(in, {frame.begin(), frame.end()}, end, count_max, filter, out);
            if (!taken) {
                return fail(taken.error());
            }
            cut = cut || *taken;
            continue;
        }
        record_view record;
        record_walk walk(frame);
        while (walk.next(record)) {
            if (record.position < end && !record.removed() && (!filter || filter(record))) {
                out.push_back(to_event(record));
            }
        }
        if (walk.damaged()) {
            return damaged_at(in, walk.at());
        }
    }
    return cut;
}

base::result<log_slice> log_reader::backwards(base::position from, std::size_t count_max,
                                              const record_filter& filter,
                                              std::uint64_t scan_bytes_max) const {
    log_slice out;
    out.next = std::min(from, head_.end());
    const base::position oldest = segments_.find({0})->first_frame();
    std::uint64_t scanned = 0;
    while (out.next > oldest && scanned < scan_bytes_max && out.events.size() < count_max) {
        // The block of frames that holds the byte before `next`.
        const base::position before{out.next.value - 1};
        const auto in = segments_.find(before);
        const auto large = large_frames_.find(before);
        const base::result<base::position> begin =
            large ? large->begin : frame_before(*in, before, head_.end());
        if (!begin) {
            return fail(begin.error());
        }
        if (*begin > before) { // within the segment's header
            out.next = in->first();
            continue;
        }
        const std::size_t count = count_max - out.events.size();
        std::vector<recorded_event> found;
        const auto cut = large ? take_large_back(*in, *large, out.next, count, filter, found)
                               : take_block_back(*in, *begin, out.next, count, filter, found);
        if (!cut) {
            return fail(cut.error());
        }
        scanned += out.next.value - begin->value;
        out.next = *begin == in->first_frame() ? in->first() : *begin;
        for (auto event = found.rbegin(); event != found.rend(); ++event) {
            out.events.push_back(std::move(*event));
            if (out.events.size() == count_max) {
                const bool all_taken = !*cut && std::next(event) == found.rend();
                out.next = all_taken ? out.next : out.events.back().position;
                break;
            }
        }
    }
    out.end = out.next <= oldest;
    return out;
}

} // namespace immortal::eventlog
