#include "eventlog/backup_fork.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <array>
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

piece_file::bytes fork_search::fetch(const backup_segment& segment, const backup_piece& piece) {
    const std::string name = piece.blob();
    if (last_read_.first == name) {
        return last_read_.second;
    }
    if (stopped_ || unreadable_.contains(name)) {
        return nullptr;
    }
    if (auto kept = keep_(); !kept) {
        stopped_ = std::move(kept.error());
        return nullptr;
    }
    auto bytes = piece.size <= bytes_left_
                     ? fetch_piece(target_, segment, piece)
                     : fail(errc::exhausted, "enough was read of the backups");
    bytes_left_ -= std::min(piece.size, bytes_left_);
    if (!bytes) {
        if (unreadable_.empty()) { // one tells enough
            base::log_warning(
                "eventlog",
                "where the log and its backups went different ways may not be found exactly: not "
                "all pieces of the backups are read for it",
                {{"piece", describe(segment, piece)}, {"cause", bytes.error().message}});
        }
        unreadable_.insert(name);
        return nullptr;
    }
    last_read_ = {name, std::make_shared<const std::vector<std::byte>>(std::move(*bytes))};
    return last_read_.second;
}

std::unique_ptr<base::file> fork_search::file_of(const backup_segment& segment) {
    return std::make_unique<piece_file>(
        segment, [this](const backup_segment& part, const backup_piece& piece) {
            return fetch(part, piece);
        });
}

// Empty: its bytes cannot be read, or are not those of such a segment.
base::result<std::optional<segment_walk>> fork_search::open(const backup_segment& segment) {
    auto walk = segment_walk::open(file_of(segment), segment.number);
    if (stopped_) {
        return fail(*stopped_);
    }
    if (!walk || !walk->header() || walk->header()->first_position != segment.first_position) {
        return std::nullopt;
    }
    return std::optional(std::move(*walk));
}

// As the segment's header says; empty: it cannot be read.
base::result<std::optional<base::digest256>>
fork_search::chain_before(const backup_segment& segment) {
    const std::string name = segment.pieces.empty() ? "" : segment.pieces.front().blob();
    if (const auto known = chains_.find(name); known != chains_.end()) {
        return std::optional(known->second);
    }
    std::array<std::byte, sizeof(format::segment_header)> bytes{};
    const auto got = file_of(segment)->read_at(0, bytes);
    if (stopped_) {
        return fail(*stopped_);
    }
    const auto header = format::load<format::segment_header>(bytes);
    if (!got || *got != bytes.size() || header.magic != format::segment_magic ||
        header.crc != format::checksum(header) || header.number != segment.number ||
        header.first_position != segment.first_position) {
        return std::nullopt;
    }
    chains_.emplace(name, header.previous_chain);
    return std::optional(header.previous_chain);
}

base::result<std::optional<bool>> fork_search::agrees_before(const backup_segment& segment) {
    const auto chain = chain_before(segment);
    if (!chain || !*chain) {
        return chain ? base::result<std::optional<bool>>(std::nullopt) : fail(chain.error());
    }
    const auto same = agrees({{segment.first_position}, **chain});
    return same ? base::result<std::optional<bool>>(*same) : fail(same.error());
}

// The last segment before which both have the same history, as far as headers say. Those that have
// the very same header need not be read.
base::result<std::optional<std::size_t>>
fork_search::last_agreeing(const backup_manifest& manifest) {
    const auto& segments = manifest.segments;
    const auto beyond =
        std::ranges::upper_bound(segments, log_.end.value, {}, &backup_segment::first_position);
    auto high = static_cast<std::size_t>(beyond - segments.begin());
    std::size_t low = std::min(high, log_.headers.size());
    while (low > 0 && !is_same_header(segments[low - 1], log_.headers[low - 1])) {
        --low;
    }
    // Both agree before each segment up to `low`, exclusive, and not before those from `high` on,
    // or that is not known. Mostly they part in the segment behind the last same header.
    bool is_known = true;
    for (std::size_t probe = low; low < high; probe = low + (high - low) / 2) {
        const auto same = agrees_before(segments[probe]);
        if (!same) {
            return fail(same.error());
        }
        if (same->value_or(false)) {
            low = probe + 1;
        } else {
            high = probe;
            is_known = same->has_value();
        }
    }
    IMMORTAL_ASSERT(low == high);
    found_.is_exact = found_.is_exact && is_known;
    return low == 0 ? std::nullopt : std::optional(low - 1);
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
