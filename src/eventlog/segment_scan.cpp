#include "eventlog/segment_scan.hpp"

#include "base/assert.hpp"
#include "eventlog/planted_fault.hpp"

#include <array>

namespace immortal::eventlog {
namespace {

constexpr std::size_t piece_size = 4u << 20u;

std::string header_problem(const format::segment_header& header, const scan_state& state,
                           chain_check how) {
    if (header.magic != format::segment_magic || header.crc != format::checksum(header)) {
        return "the segment's header is damaged";
    }
    if (header.version != format::version ||
        (header.flags & ~format::segment_flag::scavenged) != 0 ||
        header.chain_algorithm != format::chain_sha256 || header.header_size != sizeof(header)) {
        return "the segment was written by a newer version of this program";
    }
    if (header.log_id != state.log_id.bytes) {
        return "the segment belongs to another log";
    }
    if (header.number != state.next_segment || header.first_position != state.end.value) {
        return "the segment belongs to another place of the log";
    }
    if (how == chain_check::continues && header.previous_chain != state.chain) {
        return "the segment does not continue the one before it";
    }
    return {};
}

bool scavenged(const frame_view& frame) {
    return (frame.header.flags & format::frame_flag::scavenged) != 0;
}

// Checks the frame and its records, then shows them to the visitor. Empty: all is well.
std::string take_frame(const frame_view& frame, scan_state& state, chain_hasher& hasher,
                       const scan_visitor& visit, std::vector<record_view>& records) {
    if (frame.header.previous_chain != state.chain && !is_planted(planted_fault::trust_contents)) {
        return "the hash chain is broken";
    }
    records.clear();
    record_view record;
    record_walk walk(frame);
    base::utc_time created = state.last_created;
    while (walk.next(record)) {
        if (record.created < created) {
            return "the times of two events are out of order";
        }
        created = record.created;
        records.push_back(record);
    }
    if (walk.damaged()) {
        return "an event fails its checksum";
    }
    visit.frame(frame);
    for (const record_view& good : records) {
        visit.record(good);
    }
    IMMORTAL_ASSERT(!records.empty());
    state.events += records.size();
    state.last_event = records.back().position;
    state.last_created = created;
    // Of a frame that lost records the value is not computed: see chain_after.
    state.chain = scavenged(frame) ? state.chain : hasher.after(frame.bytes);
    state.end = frame.end();
    ++state.frames;
    return {};
}

// The chain value that the segment names for the place `at`, behind a frame that lost records:
// empty if no frame follows where one should.
base::file_result<std::optional<base::digest256>> chain_after(const segment& in, std::uint64_t size,
                                                              base::position at) {
    const std::uint64_t offset = in.offset_of(at);
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

base::file_result<std::shared_ptr<segment>> open_segment(std::unique_ptr<base::file> file,
                                                         const scan_state& state,
                                                         std::optional<scan_fault>& fault,
                                                         chain_check how) {
    std::array<std::byte, sizeof(format::segment_header)> bytes{};
    const auto got = file->read_at(0, bytes);
    if (!got) {
        return std::unexpected(got.error());
    }
    std::string problem = "the segment's header is cut off";
    const auto header = format::load<format::segment_header>(bytes);
    if (*got == bytes.size()) {
        problem = header_problem(header, state, how);
    }
    if (!problem.empty()) {
        fault = scan_fault{state.end, 0, std::move(problem)};
        return std::shared_ptr<segment>();
    }
    return std::make_shared<segment>(header, std::move(file));
}

base::file_result<std::optional<scan_fault>> scan_frames(segment& from, std::uint64_t size,
                                                         scan_state& state, chain_hasher& hasher,
                                                         const scan_visitor& visit) {
    IMMORTAL_ASSERT(size >= from.offset_of(from.first_frame()));
    state.end = from.first_frame();
    state.next_segment = from.number() + 1;
    return resume_scan(from, size, state, hasher, visit);
}

base::file_result<std::optional<scan_fault>> resume_scan(segment& from, std::uint64_t size,
                                                         scan_state& state, chain_hasher& hasher,
                                                         const scan_visitor& visit) {
    frame_reader reader(from.contents(), from.first(), state.end, {from.first().value + size},
                        piece_size);
    frame_view frame;
    std::vector<record_view> records;
    std::string problem;
    for (;;) {
        const auto outcome = reader.next(frame);
        if (!outcome) {
            return std::unexpected(outcome.error());
        }
        switch (*outcome) {
        case frame_reader::outcome::end:
            return std::nullopt;
        case frame_reader::outcome::cut_off:
            problem = "the last frame is cut off";
            break;
        case frame_reader::outcome::damaged:
            problem = "a frame's header is damaged";
            break;
        case frame_reader::outcome::frame:
            problem = take_frame(frame, state, hasher, visit, records);
            break;
        }
        if (*outcome == frame_reader::outcome::frame && problem.empty() && scavenged(frame)) {
            const auto chain = chain_after(from, size, state.end);
            if (!chain) {
                return std::unexpected(chain.error());
            }
            problem = from.scavenged() && *chain ? "" : "a frame's header is damaged";
            state.chain = chain->value_or(state.chain);
        }
        if (!problem.empty()) {
            return scan_fault{state.end, from.offset_of(state.end), std::move(problem)};
        }
    }
}

} // namespace immortal::eventlog
