// How a backup is made.
//
//   1. Take the target's lease; then read the head anchor. What stands before it never changes.
//   2. Read the target: manifests and pieces. Find the line that the log continues, and the newest
//      backup with which it agrees (`base_`).
//   3. For each segment: take over the pieces of `base_` that are the bytes at that place of this
//      log; read, store and check the rest. The lease is kept meanwhile.
//   4. See that the lease is still held and every piece is there; put the manifest; if the lease
//   was
//      lost while it was put, look for the pieces once more.
//
// Invariants:
//
//   B1  Pieces are stored before the manifest that names them.
//   B2  A piece of an earlier backup is taken over only if the log's chain has the value of that
//       backup at that backup's end, and the segment's header is the same (of a scavenged segment
//       it holds the content hash). So a log that went another way never gets foreign bytes.
//   B3  A backup of a line follows the line's newest one: higher epoch, or the same with the chain
//       through its end. Restores take the newest of the newest line unless they are told
//       otherwise.
//   B4  Of one target only one backup or prune believes to hold the lease; one that was stopped for
//       longer than its time finds out before it puts a manifest or removes anything.
#include "eventlog/backup.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/anchor.hpp"
#include "eventlog/backup_fork.hpp"
#include "eventlog/backup_pieces.hpp"
#include "eventlog/segment_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

constexpr std::uint64_t piece_size_max = 16u << 20u;

std::unexpected<base::error> environment(const base::file_error& problem) {
    base::log_error("eventlog", "the log could not be backed up", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

std::unexpected<base::error> damaged(std::uint32_t segment, std::uint64_t offset,
                                     std::string_view what) {
    return fail(errc::corrupt, fmt::format("{} is damaged at offset {}: {}; no backup was made",
                                           format::segment_name(segment), offset, what));
}

class backing_up {
public:
    backing_up(const std::string& folder, base::file_system& files, backup_target& target,
               backup_lease& lease, const backup_options& options)
        : folder_(folder), files_(files), target_(target), lease_(lease),
          progress_(options.progress), fork_bytes_max_(options.fork_bytes_max) {}

    base::result<backup_report> run(base::utc_time now);

private:
    base::status read_anchor();
    base::status read_headers();
    base::status look_at_target();
    base::status choose_base(const std::vector<backup_entry>& entries);
    base::status choose_line(const std::vector<backup_entry>& entries);
    base::result<fork_place> find_fork(const std::vector<backup_entry>& entries);
    base::result<bool> agrees(const backup_manifest& manifest);
    base::result<std::optional<base::digest256>> chain_at(base::position place);
    base::status store_segment(std::uint32_t number);
    base::status store_pieces(base::file& stored, std::uint64_t stored_size, backup_segment& out);
    base::status check(segment_walk& walk, std::uint64_t logical_size);
    base::status finish(base::utc_time now);
    base::result<segment_walk> open(std::uint32_t number);
    [[nodiscard]] const backup_segment* known(const backup_segment& now,
                                              const format::segment_header& header) const;
    [[nodiscard]] bool has(const backup_piece& piece) const {
        const auto found = pieces_.find(piece.blob());
        return found != pieces_.end() && found->second == piece.size;
    }
    base::status advance(std::uint64_t bytes);

    const std::string& folder_;
    base::file_system& files_;
    backup_target& target_;
    backup_lease& lease_;
    const progress_callback& progress_;
    const std::uint64_t fork_bytes_max_;
    anchor_state anchor_;
    std::vector<format::segment_header> headers_; // of the log's segments
    std::optional<backup_manifest> base_;         // the newest backup that the log agrees with
    piece_sizes pieces_;                          // in the target
    backup_report report_;
    backup_progress done_;
    std::optional<base::digest256> chain_; // after the segment before, if it was read
    chain_hasher hasher_;
};

base::status backing_up::read_anchor() {
    const auto anchor = read_anchor_beside_writer(files_, folder_);
    if (!anchor) {
        return anchor.error().what == base::file_error::kind::not_found
                   ? fail(errc::not_found, "there is no event log in this folder")
                   : environment(anchor.error());
    }
    if (!*anchor) {
        return fail(errc::corrupt, "both slots of the log's head anchor are damaged");
    }
    anchor_ = **anchor;
    return {};
}

base::result<segment_walk> backing_up::open(std::uint32_t number) {
    auto walk = segment_walk::open(files_, folder_, number);
    if (!walk && walk.error().what == base::file_error::kind::not_found) {
        return fail(errc::corrupt, format::segment_name(number) + " is missing");
    }
    if (!walk) {
        return environment(walk.error());
    }
    if (!walk->header()) {
        return damaged(number, 0, "the segment's header is damaged");
    }
    return std::move(*walk);
}

base::status backing_up::read_headers() {
    for (std::uint32_t number = 0; number <= anchor_.segment; ++number) {
        const auto walk = open(number);
        if (!walk) {
            return fail(walk.error());
        }
        headers_.push_back(*walk->header());
    }
    done_.bytes_total = anchor_.end.value;
    const bool ascending =
        headers_.front().first_position == 0 &&
        std::ranges::is_sorted(headers_, {}, &format::segment_header::first_position) &&
        headers_.back().first_position < anchor_.end.value;
    return ascending ? base::status{}
                     : fail(errc::corrupt, "the segments' positions are out of order");
}

// The value that the log's chain has at a place; none if no frame begins or ends there.
base::result<std::optional<base::digest256>> backing_up::chain_at(base::position place) {
    using outcome = base::result<std::optional<base::digest256>>;
    if (place >= anchor_.end) {
        return place == anchor_.end ? std::optional(anchor_.chain) : std::nullopt;
    }
    const auto after = std::ranges::upper_bound(headers_, place.value, {},
                                                &format::segment_header::first_position);
    IMMORTAL_ASSERT(after != headers_.begin());
    const format::segment_header& header = *std::prev(after);
    if (place.value == header.first_position) {
        return std::optional(header.previous_chain);
    }
    auto walk = open(header.number);
    if (!walk) {
        return fail(walk.error());
    }
    scan_state state;
    state.log_id = anchor_.log.id;
    state.next_segment = header.number;
    state.end = {header.first_position};
    const auto fault = walk->enter(state, chain_check::unknown);
    if (!fault) {
        return environment(fault.error());
    }
    if (*fault || place < walk->entered()->first_frame()) {
        return std::optional<base::digest256>();
    }
    std::optional<base::digest256> chain;
    const auto walked = walk_frames(
        *walk->entered(), place, {header.first_position + walk->size()},
        [&](const frame_view& frame) {
            chain = frame.header.previous_chain;
            return walk_step::stop;
        },
        64u << 10u);
    return walked ? outcome(chain) : environment(walked.error());
}

base::result<bool> backing_up::agrees(const backup_manifest& manifest) {
    const auto chain = chain_at(manifest.end);
    return chain ? base::result<bool>(*chain == manifest.chain) : fail(chain.error());
}

base::status backing_up::choose_base(const std::vector<backup_entry>& entries) {
    std::vector<const backup_manifest*> candidates;
    for (const backup_entry& entry : entries) {
        if (entry.manifest && entry.manifest->end <= anchor_.end) {
            candidates.push_back(&*entry.manifest);
        }
    }
    std::ranges::sort(candidates, {},
                      [](const auto* one) { return std::pair(one->end, one->place()); });
    for (auto each = candidates.rbegin(); each != candidates.rend(); ++each) {
        const auto same = agrees(**each);
        if (!same) {
            return fail(same.error());
        }
        if (*same) {
            IMMORTAL_ASSERT((*each)->end <= anchor_.end); // B2
            base_ = **each;
            return {};
        }
    }
    return {};
}

// B3. The line whose newest backup the log continues, or a new one.
base::status backing_up::choose_line(const std::vector<backup_entry>& entries) {
    std::map<std::uint32_t, const backup_entry*> heads; // the newest of each line that can be read
    std::uint32_t line_max = 0;
    for (const backup_entry& entry : entries) {
        line_max = std::max(line_max, entry.place().line);
        if (entry.manifest) {
            heads[entry.place().line] = &entry;
        }
    }
    if (entries.empty()) {
        return {};
    }
    std::optional<backup_place> continued;
    for (const auto& [line, head] : heads) {
        const backup_manifest& newest = *head->manifest;
        bool follows = newest.log.epoch < anchor_.log.epoch;
        if (newest.log.epoch == anchor_.log.epoch && newest.end <= anchor_.end) {
            const auto same = agrees(newest);
            if (!same) {
                return fail(same.error());
            }
            follows = *same;
        }
        const backup_place place = newest.place();
        IMMORTAL_ASSERT(place.line == line && line <= line_max);
        // Of two lines that a restored log follows, the newer one.
        if (follows && (!continued || std::pair(place.epoch, line) >
                                          std::pair(continued->epoch, continued->line))) {
            continued = place;
        }
    }
    IMMORTAL_ASSERT(!continued || continued->epoch <= anchor_.log.epoch); // B3
    report_.manifest.line = continued ? continued->line : line_max + 1;
    if (!continued) {
        const auto fork = find_fork(entries);
        if (!fork) {
            return fail(fork.error());
        }
        report_.begun = new_line{entries.back().name, fork->agreed, fork->is_exact};
    }
    return {};
}

base::result<fork_place> backing_up::find_fork(const std::vector<backup_entry>& entries) {
    fork_search search(
        target_, {anchor_.end, headers_, [this](base::position place) { return chain_at(place); }},
        fork_bytes_max_, [this] { return advance(0); });
    if (base_) {
        search.note_agreement(base_->end);
    }
    std::optional<backup_place> compared;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) { // the newest first
        const backup_place place = entry->place();
        const bool was_compared = compared && search.found().is_exact &&
                                  compared->line == place.line && compared->epoch == place.epoch;
        if (was_compared) {
            continue; // what it holds, a newer one of its line holds too
        }
        if (!entry->manifest) {
            search.note_unreadable();
            continue;
        }
        if (auto done = search.compare(*entry->manifest); !done) {
            return fail(std::move(done.error()));
        }
        compared = place;
    }
    return search.found();
}

base::status backing_up::look_at_target() {
    const auto entries = list_backups(target_);
    auto pieces = entries ? list_pieces(target_) : base::result<piece_sizes>();
    if (!entries || !pieces) {
        return fail(entries ? pieces.error() : entries.error());
    }
    pieces_ = std::move(*pieces);
    for (const backup_entry& entry : *entries) {
        if (entry.manifest && entry.manifest->log.id != anchor_.log.id) {
            return fail(errc::conflict,
                        "the target holds backups of another log (" +
                            entry.manifest->log.id.text() + "): name another target",
                        "foreign");
        }
    }
    const auto chosen = choose_base(*entries);
    return chosen ? choose_line(*entries) : chosen;
}

base::status backing_up::advance(std::uint64_t bytes) {
    done_.bytes_done += bytes;
    if (progress_ && !progress_(done_)) {
        return fail(errc::cancelled, "the backup was stopped");
    }
    return lease_.keep();
}

// B2: the segment as the backup that the log agrees with has it, if it is the same file.
const backup_segment* backing_up::known(const backup_segment& now,
                                        const format::segment_header& header) const {
    if (!base_ || now.number >= base_->segments.size()) {
        return nullptr;
    }
    IMMORTAL_ASSERT(base_->end <= anchor_.end);
    const backup_segment& before = base_->segments[now.number];
    return is_same_header(before, header) && before.first_position == now.first_position &&
                   before.scavenged == now.scavenged
               ? &before
               : nullptr;
}

base::status backing_up::store_segment(std::uint32_t number) {
    auto walk = open(number);
    if (!walk) {
        return fail(walk.error());
    }
    const format::segment_header& header = *walk->header();
    if (header.first_position != headers_[number].first_position) {
        return damaged(number, 0, "the segment was replaced by that of another place");
    }
    if (chain_ && header.previous_chain != *chain_) {
        return damaged(number, 0, "the segment does not continue the one before it");
    }
    chain_.reset();
    const std::uint64_t end =
        number == anchor_.segment ? anchor_.end.value : headers_[number + 1].first_position;
    IMMORTAL_ASSERT(report_.manifest.segments.size() == number);
    backup_segment out;
    out.number = number;
    out.first_position = header.first_position;
    out.logical_size = end - header.first_position;
    out.header_crc = header.crc;
    out.header_sha256 = sha256_of(header);
    out.scavenged = header.flags == format::segment_flag::scavenged;
    const std::uint64_t stored_size = out.scavenged ? walk->stored_size() : out.logical_size;
    if (const backup_segment* before = known(out, header)) {
        // What is stored of it stands for ever; more may follow.
        for (const backup_piece& piece : before->pieces) {
            if (!has(piece) || piece.offset + piece.size > stored_size) {
                break;
            }
            out.pieces.push_back(piece);
        }
    }
    IMMORTAL_ASSERT(out.stored_size() <= stored_size);
    if (out.stored_size() == stored_size) {
        report_.manifest.segments.push_back(std::move(out));
        return advance(report_.manifest.segments.back().logical_size);
    }
    if (auto put = store_pieces(walk->stored(), stored_size, out); !put) {
        return put;
    }
    report_.manifest.segments.push_back(std::move(out));
    return check(*walk, report_.manifest.segments.back().logical_size);
}

base::status backing_up::store_pieces(base::file& stored, std::uint64_t stored_size,
                                      backup_segment& out) {
    std::vector<std::byte> bytes;
    if (auto told = advance(out.stored_size()); !told) {
        return told;
    }
    while (out.stored_size() < stored_size) {
        backup_piece piece;
        piece.offset = out.stored_size();
        piece.size = std::min(piece_size_max, stored_size - piece.offset);
        bytes.resize(piece.size);
        const auto got = stored.read_at(piece.offset, bytes);
        if (!got) {
            return environment(got.error());
        }
        if (*got != bytes.size()) {
            return damaged(out.number, piece.offset + *got, "its tail is missing");
        }
        piece.sha256 = sha256_hex(bytes);
        if (!has(piece)) {
            if (auto put = target_.put(piece.blob(), bytes); !put) {
                return put;
            }
            pieces_[piece.blob()] = piece.size;
            report_.bytes_new += piece.size;
            ++report_.blobs_new;
        }
        if (auto told = advance(piece.size); !told) {
            return told;
        }
        out.pieces.push_back(std::move(piece));
    }
    IMMORTAL_ASSERT(out.stored_size() == stored_size);
    return {};
}

// No backup vouches for a segment that is damaged.
base::status backing_up::check(segment_walk& walk, std::uint64_t logical_size) {
    const format::segment_header header = *walk.header();
    scan_state state;
    state.log_id = anchor_.log.id;
    state.next_segment = header.number;
    state.end = {header.first_position};
    auto fault = walk.enter(state, chain_check::unknown);
    if (fault && !*fault) {
        fault = walk.check_contents();
    }
    if (fault && !*fault) {
        state.chain = header.previous_chain;
        fault = walk.scan(logical_size, state, hasher_);
    }
    if (!fault) {
        return environment(fault.error());
    }
    if (*fault) {
        return damaged(header.number, (*fault)->offset, (*fault)->what);
    }
    IMMORTAL_ASSERT(state.end.value == header.first_position + logical_size);
    if (header.number == anchor_.segment && state.chain != anchor_.chain) {
        return damaged(header.number, logical_size, "it does not agree with the head anchor");
    }
    chain_ = state.chain;
    return lease_.keep();
}

// B1, B4.
base::status backing_up::finish(base::utc_time now) {
    backup_manifest& manifest = report_.manifest;
    manifest.log = anchor_.log;
    manifest.created = now;
    manifest.end = anchor_.end;
    manifest.events = anchor_.event_count;
    manifest.last_event = anchor_.last_event;
    manifest.chain = anchor_.chain;
    IMMORTAL_ASSERT(manifest.segments.size() == headers_.size() && manifest.line > 0);
    const std::string text = to_text(manifest);
    if (!parse_manifest(manifest.name(), text)) {
        return fail(errc::corrupt, "the segments do not join: run `immortal log verify`");
    }
    const auto look = [&]() -> base::status {
        const auto present = list_pieces(target_);
        return present ? check_presence(manifest, *present) : fail(present.error());
    };
    auto done = lease_.check();
    done = done ? look() : done;
    done = done ? target_.put(manifest.name(), std::as_bytes(std::span(text))) : done;
    if (!done) {
        return done;
    }
    if (auto held = lease_.check(); !held) {
        return held.error().reason == "lease_lost" ? look() : held;
    }
    return {};
}

base::result<backup_report> backing_up::run(base::utc_time now) {
    base::status done = read_anchor();
    done = done ? read_headers() : done;
    done = done ? look_at_target() : done;
    for (std::uint32_t number = 0; done && number <= anchor_.segment; ++number) {
        done = store_segment(number);
    }
    done = done ? finish(now) : done;
    return done ? base::result<backup_report>(std::move(report_)) : fail(std::move(done.error()));
}

} // namespace

base::result<backup_report> make_backup(const std::string& folder, base::file_system& files,
                                        base::clock& clock, backup_target& target,
                                        const backup_options& options) {
    // A folder without a log leaves no trace in the target.
    const auto anchor = files.open(folder + "/anchor", base::open_mode::read);
    if (!anchor && anchor.error().what == base::file_error::kind::not_found) {
        return fail(errc::not_found, "there is no event log in this folder");
    }
    auto lease = backup_lease::take(target, clock, "a backup", options.lease);
    if (!lease) {
        return fail(std::move(lease.error()));
    }
    auto report = backing_up(folder, files, target, *lease, options).run(clock.now());
    lease->release();
    return report;
}

} // namespace immortal::eventlog
