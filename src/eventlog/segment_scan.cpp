#include "eventlog/segment_scan.hpp"

#include "base/assert.hpp"
#include "eventlog/planted_fault.hpp"

#include <array>

namespace immortal::eventlog {
namespace {

bool scavenged(const frame_view& frame) {
    return (frame.header.flags & format::frame_flag::scavenged) != 0;
}

// Checks the frame and its records, then shows them to the visitor. Empty: all is well. A frame may
// hold millions of records: it is walked twice, so that none of them is kept.
std::string take_frame(const frame_view& frame, scan_state& state, chain_hasher& hasher,
                       const scan_visitor& visit) {
    IMMORTAL_ASSERT(frame.begin() == state.end);
    if (frame.header.previous_chain != state.chain && !is_planted(planted_fault::trust_contents)) {
        return "the hash chain is broken";
    }
    record_view record;
    base::utc_time created = state.last_created;
    record_walk check(frame);
    while (check.next(record)) {
        if (record.created < created) {
            return "the times of two events are out of order";
        }
        created = record.created;
    }
    if (check.damaged()) {
        return "an event fails its checksum";
    }
    visit.frame(frame);
    std::uint64_t shown = 0;
    for (record_walk walk(frame); walk.next(record); ++shown) {
        visit.record(record);
    }
    IMMORTAL_ASSERT(shown == frame.header.count && shown > 0);
    state.events += shown;
    state.last_event = record.position;
    state.last_created = created;
    // Of a frame that lost records the value is not computed: see chain_after.
    state.chain = scavenged(frame) ? state.chain : hasher.after(frame.bytes);
    state.end = frame.end();
    ++state.frames;
    IMMORTAL_ASSERT(state.last_event < state.end);
    return {};
}

// The chain value that the segment names for the place `at`, behind a frame that lost records:
// empty if no frame follows where one should.
base::file_result<std::optional<base::digest256>> chain_after(const segment& in, std::uint64_t size,
                                                              base::position at) {
    const std::uint64_t offset = in.offset_of(at);
    IMMORTAL_ASSERT(offset <= size);
    if (offset == size) {
        return in.header().last_chain;
    }
    std::array<std::byte, sizeof(format::frame_header)> bytes{};
    const auto got = in.contents().read_at(offset, bytes);
    if (!got) {
        return std::unexpected(got.error());
    }
    const auto next = format::load<format::frame_header>(bytes);
    if (*got != bytes.size() || next.magic != format::frame_magic ||
        next.crc != format::checksum(next)) {
        return std::nullopt;
    }
    return next.previous_chain;
}

} // namespace

base::file_result<std::optional<scan_fault>> walk_frames(const segment& in, base::position begin,
                                                         base::position end,
                                                         const frame_visitor& visit,
                                                         std::size_t piece) {
    IMMORTAL_ASSERT(begin >= in.first_frame());
    const auto file = in.hold();
    if (!file) {
        return std::unexpected(file.error());
    }
    frame_reader reader(**file, in.first(), begin, end, piece);
    for (frame_view frame;;) {
        const base::position place = reader.at();
        const auto outcome = reader.next(frame);
        if (!outcome) {
            return std::unexpected(outcome.error());
        }
        switch (*outcome) {
        case frame_reader::outcome::end:
            return std::nullopt;
        case frame_reader::outcome::cut_off:
            return scan_fault{place, in.offset_of(place), "the last frame is cut off"};
        case frame_reader::outcome::damaged:
            return scan_fault{place, in.offset_of(place), "a frame's header is damaged"};
        case frame_reader::outcome::frame:
            break;
        }
        IMMORTAL_ASSERT(frame.begin() == place && frame.end() <= end);
        if (visit(frame) == walk_step::stop) {
            return std::nullopt;
        }
    }
}

base::file_result<std::optional<scan_fault>> scan_frames(const segment& from, std::uint64_t size,
                                                         scan_state& state, chain_hasher& hasher,
                                                         const scan_visitor& visit) {
    IMMORTAL_ASSERT(size >= from.offset_of(from.first_frame()));
    state.end = from.first_frame();
    state.next_segment = from.number() + 1;
    return resume_scan(from, size, state, hasher, visit);
}

base::file_result<std::optional<scan_fault>> resume_scan(const segment& from, std::uint64_t size,
                                                         scan_state& state, chain_hasher& hasher,
                                                         const scan_visitor& visit) {
    IMMORTAL_ASSERT(state.next_segment == from.number() + 1);
    std::string problem;
    base::file_status read;
    auto walked =
        walk_frames(from, state.end, {from.first().value + size}, [&](const frame_view& frame) {
            problem = take_frame(frame, state, hasher, visit);
            if (problem.empty() && scavenged(frame)) {
                const auto chain = chain_after(from, size, state.end);
                read = chain ? read : std::unexpected(chain.error());
                const bool named = chain && *chain;
                problem = from.scavenged() && named ? "" : "a frame's header is damaged";
                state.chain = named ? **chain : state.chain;
            }
            return problem.empty() ? walk_step::go_on : walk_step::stop;
        });
    if (walked && !read) {
        return std::unexpected(read.error());
    }
    if (walked && !problem.empty()) {
        return scan_fault{state.end, from.offset_of(state.end), std::move(problem)};
    }
    return walked;
}

base::file_result<bool> pass_damaged_frame(const segment& from, std::uint64_t size,
                                           scan_state& state) {
    const base::position segment_end{from.first().value + size};
    base::position behind = segment_end;
    std::optional<base::digest256> chain;
    const auto walked = walk_frames(
        from, state.end, segment_end,
        [&](const frame_view& frame) {
            if (frame.begin() > state.end) {
                chain = frame.header.previous_chain;
                return walk_step::stop;
            }
            behind = frame.end();
            return walk_step::go_on;
        },
        64u << 10u);
    if (!walked) {
        return std::unexpected(walked.error());
    }
    IMMORTAL_ASSERT(behind > state.end || state.end == segment_end);
    state.end = behind;
    state.chain = chain.value_or(state.chain);
    return chain.has_value();
}

} // namespace immortal::eventlog
