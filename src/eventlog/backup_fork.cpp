#include "eventlog/backup_fork.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace immortal::eventlog {

using base::errc;
using base::fail;

namespace {

constexpr std::size_t frames_held_max = 4096;

} // namespace

std::string sha256_of(const format::segment_header& header) {
    return sha256_hex(std::as_bytes(std::span(&header, 1)));
}

bool is_same_header(const backup_segment& stored, const format::segment_header& header) {
    return stored.header_sha256.empty() ? stored.header_crc == header.crc
                                        : stored.header_sha256 == sha256_of(header);
}

void fork_search::note_agreement(base::position place) {
    IMMORTAL_ASSERT(place <= log_.end);
    found_.agreed = std::max(found_.agreed.value_or(place), place);
}

base::result<bool> fork_search::agrees(const frame_place& place) const {
    IMMORTAL_ASSERT(place.position <= log_.end);
    const auto chain = log_.chain_at(place.position);
    return chain ? base::result<bool>(*chain == place.chain) : fail(chain.error());
}

// Empty: its bytes cannot be read, or are not those of such a segment.
base::result<std::optional<segment_walk>> fork_search::open(const backup_segment& segment) {
    auto source = [this, last = std::pair<std::string, piece_file::bytes>()](
                      const backup_segment& part,
                      const backup_piece& piece) mutable -> piece_file::bytes {
        if (last.first == piece.blob()) {
            return last.second;
        }
        const auto kept = stopped_ ? base::status(fail(*stopped_)) : keep_();
        auto bytes = kept ? fetch_piece(target_, part, piece) : fail(kept.error());
        if (bytes) {
            last = {piece.blob(),
                    std::make_shared<const std::vector<std::byte>>(std::move(*bytes))};
            return last.second;
        }
        if (!kept ||
            (bytes.error().code != errc::not_found && bytes.error().code != errc::corrupt)) {
            stopped_ = bytes.error();
        }
        return nullptr;
    };
    auto walk = segment_walk::open(std::make_unique<piece_file>(segment, std::move(source)),
                                   segment.number);
    if (stopped_) {
        return fail(*stopped_);
    }
    if (!walk || !walk->header() || walk->header()->first_position != segment.first_position) {
        return std::nullopt;
    }
    return std::optional(std::move(*walk));
}

// The last segment before which both have the same history, as far as headers say. Those that have
// the very same header need not be read.
base::result<std::optional<std::size_t>>
fork_search::last_agreeing(const backup_manifest& manifest) {
    const auto& segments = manifest.segments;
    std::size_t next = std::min(segments.size(), log_.headers.size());
    while (next > 0 && !is_same_header(segments[next - 1], log_.headers[next - 1])) {
        --next;
    }
    for (; next < segments.size() && segments[next].first_position <= log_.end.value; ++next) {
        const auto walk = open(segments[next]);
        if (!walk) {
            return fail(walk.error());
        }
        if (!*walk) {
            found_.is_exact = false;
            break;
        }
        const auto same =
            agrees({{segments[next].first_position}, (*walk)->header()->previous_chain});
        if (!same) {
            return fail(same.error());
        }
        if (!*same) {
            break;
        }
    }
    return next == 0 ? std::nullopt : std::optional(next - 1);
}

base::result<std::size_t>
fork_search::count_agreeing(const std::vector<frame_place>& frames) const {
    std::size_t low = 0;
    std::size_t high = frames.size();
    while (low < high) { // those before `low` agree, those from `high` on do not
        const std::size_t middle = low + (high - low) / 2;
        const auto same = agrees(frames[middle]);
        if (!same) {
            return fail(same.error());
        }
        (*same ? low : high) = *same ? middle + 1 : middle;
    }
    return low;
}

base::status fork_search::compare_frames(const backup_manifest& manifest,
                                         const backup_segment& stored) {
    auto walk = open(stored);
    if (!walk) {
        return fail(walk.error());
    }
    scan_state state;
    state.log_id = manifest.log.id;
    state.next_segment = stored.number;
    state.end = {stored.first_position};
    if (!*walk) {
        found_.is_exact = false;
        return {};
    }
    const auto fault = (*walk)->enter(state, chain_check::unknown);
    if (!fault || *fault) {
        found_.is_exact = false;
        return stopped_ ? base::status(fail(*stopped_)) : base::status{};
    }
    base::status problem;
    std::vector<frame_place> frames;
    bool is_forked = false;
    const auto look = [&] {
        const auto count = count_agreeing(frames);
        problem = count ? base::status{} : fail(count.error());
        if (count && *count > 0) {
            note_agreement(frames[*count - 1].position);
        }
        is_forked = !count || *count < frames.size();
        frames.clear();
    };
    const segment& entered = *(*walk)->entered();
    const auto walked =
        walk_frames(entered, entered.first_frame(), {stored.first_position + (*walk)->size()},
                    [&](const frame_view& frame) {
                        if (frame.begin() > log_.end) {
                            return walk_step::stop;
                        }
                        frames.push_back({frame.begin(), frame.header.previous_chain});
                        if (frames.size() == frames_held_max) {
                            look();
                        }
                        return is_forked ? walk_step::stop : walk_step::go_on;
                    });
    if (!is_forked) {
        look();
    }
    if (stopped_) {
        return fail(*stopped_);
    }
    // Bytes that cannot be read behind the place where the histories part do not matter.
    found_.is_exact = found_.is_exact && (is_forked || (walked && !*walked));
    return problem;
}

base::status fork_search::compare(const backup_manifest& manifest) {
    if (found_.agreed && std::min(manifest.end, log_.end) <= *found_.agreed) {
        return {};
    }
    const auto last = last_agreeing(manifest);
    if (!last) {
        return fail(last.error());
    }
    if (!*last) {
        found_.is_exact = false;
        return {};
    }
    const backup_segment& segment = manifest.segments[**last];
    IMMORTAL_ASSERT(segment.first_position <= log_.end.value);
    if (**last > 0) {
        note_agreement({segment.first_position});
    }
    return compare_frames(manifest, segment);
}

} // namespace immortal::eventlog
