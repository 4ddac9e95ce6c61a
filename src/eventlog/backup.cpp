#include "eventlog/backup.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/anchor.hpp"
#include "eventlog/scavenged_file.hpp"
#include "eventlog/segment_scan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

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
               const progress_callback& progress)
        : folder_(folder), files_(files), target_(target), progress_(progress) {}

    base::result<backup_report> run(base::utc_time now);

private:
    base::status read_anchor();
    base::status look_at_target();
    base::status read_first_positions();
    base::status store_segment(std::uint32_t number);
    base::status store_pieces(base::file& stored, std::uint64_t stored_size, backup_segment& out);
    base::status check(std::unique_ptr<base::file> stored, const format::segment_header& header,
                       std::uint64_t logical_size);
    base::result<format::segment_header> read_header(base::file& stored, std::uint32_t number);
    [[nodiscard]] const backup_segment* known(std::uint32_t number) const {
        // After a restore the same segment may have gone on in another way.
        return previous_.log == anchor_.log && number < previous_.segments.size()
                   ? &previous_.segments[number]
                   : nullptr;
    }
    [[nodiscard]] bool has(const backup_piece& piece) const {
        const auto found = blobs_.find(piece.blob());
        return found != blobs_.end() && found->second == piece.size;
    }
    base::status advance(std::uint64_t bytes);

    const std::string& folder_;
    base::file_system& files_;
    backup_target& target_;
    const progress_callback& progress_;
    anchor_state anchor_;
    backup_manifest previous_; // the newest backup, or an empty one
    std::map<std::string, std::uint64_t> blobs_;
    std::vector<std::uint64_t> first_; // positions, of each segment
    backup_report report_;
    backup_progress done_;
    std::optional<base::digest256> chain_; // after the segment before, if it was read
    chain_hasher hasher_;
};

// The writer changes one slot at a time: one of them is whole at any instant, but not always the
// same one while both are read.
base::status backing_up::read_anchor() {
    for (int attempt = 0; attempt < 100; ++attempt) {
        auto anchor = head_anchor::open(files_, folder_, base::open_mode::read);
        if (!anchor) {
            return anchor.error().what == base::file_error::kind::not_found
                       ? fail(errc::not_found, "there is no event log in this folder")
                       : environment(anchor.error());
        }
        if (*anchor) {
            anchor_ = (*anchor)->state();
            return {};
        }
    }
    return fail(errc::corrupt, "both slots of the log's head anchor are damaged");
}

base::status backing_up::look_at_target() {
    auto manifests = list_backups(target_);
    if (!manifests) {
        return fail(std::move(manifests.error()));
    }
    for (auto each = manifests->rbegin(); each != manifests->rend(); ++each) {
        if (each->manifest && each->manifest->log.id != anchor_.log.id) {
            return fail(errc::conflict,
                        "the target holds backups of another log (" +
                            each->manifest->log.id.text() + "): name another target",
                        "foreign");
        }
        if (each->manifest && previous_.segments.empty()) {
            previous_ = *each->manifest;
        }
    }
    auto blobs = target_.list("blobs");
    if (!blobs) {
        return fail(std::move(blobs.error()));
    }
    for (auto& blob : *blobs) {
        blobs_.emplace(std::move(blob.name), blob.size);
    }
    return {};
}

base::result<format::segment_header> backing_up::read_header(base::file& stored,
                                                             std::uint32_t number) {
    std::array<std::byte, sizeof(format::segment_header)> bytes{};
    const auto got = stored.read_at(0, bytes);
    if (!got) {
        return environment(got.error());
    }
    const auto header = format::load<format::segment_header>(bytes);
    if (*got != bytes.size() || header.magic != format::segment_magic ||
        header.crc != format::checksum(header) || header.number != number) {
        return damaged(number, 0, "the segment's header is damaged");
    }
    return header;
}

base::status backing_up::read_first_positions() {
    for (std::uint32_t number = 0; number <= anchor_.segment; ++number) {
        auto file =
            files_.open(folder_ + "/" + format::segment_name(number), base::open_mode::read);
        if (!file && file.error().what == base::file_error::kind::not_found) {
            return fail(errc::corrupt, format::segment_name(number) + " is missing");
        }
        if (!file) {
            return environment(file.error());
        }
        const auto header = read_header(**file, number);
        if (!header) {
            return fail(header.error());
        }
        first_.push_back(header->first_position);
    }
    first_.push_back(anchor_.end.value);
    done_.bytes_total = anchor_.end.value;
    return std::ranges::is_sorted(first_)
               ? base::status{}
               : fail(errc::corrupt, "the segments' positions are out of order");
}

base::status backing_up::advance(std::uint64_t bytes) {
    done_.bytes_done += bytes;
    return !progress_ || progress_(done_) ? base::status{}
                                          : fail(errc::cancelled, "the backup was stopped");
}

base::status backing_up::store_segment(std::uint32_t number) {
    const std::string path = folder_ + "/" + format::segment_name(number);
    auto stored = files_.open(path, base::open_mode::read);
    const auto size = stored ? (*stored)->size() : base::file_result<std::uint64_t>(0);
    if (!stored || !size) {
        return environment(stored ? size.error() : stored.error());
    }
    const auto header = read_header(**stored, number);
    if (!header) {
        return fail(header.error());
    }
    if (chain_ && header->previous_chain != *chain_) {
        return damaged(number, 0, "the segment does not continue the one before it");
    }
    chain_.reset();
    backup_segment out;
    out.number = number;
    out.first_position = first_[number];
    out.logical_size = first_[number + 1] - first_[number];
    out.header_crc = header->crc;
    out.scavenged = header->flags == format::segment_flag::scavenged;
    const std::uint64_t stored_size = out.scavenged ? *size : out.logical_size;
    const backup_segment* before = known(number);
    if (before != nullptr && before->header_crc == out.header_crc) {
        // What is stored of it stands for ever; more may follow.
        for (const backup_piece& piece : before->pieces) {
            if (!has(piece) || piece.offset + piece.size > stored_size) {
                break;
            }
            out.pieces.push_back(piece);
        }
    }
    if (out.stored_size() == stored_size) {
        report_.manifest.segments.push_back(std::move(out));
        return advance(report_.manifest.segments.back().logical_size);
    }
    if (auto put = store_pieces(**stored, stored_size, out); !put) {
        return put;
    }
    report_.manifest.segments.push_back(std::move(out));
    return check(std::move(*stored), *header, report_.manifest.segments.back().logical_size);
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
            blobs_[piece.blob()] = piece.size;
            report_.bytes_new += piece.size;
            ++report_.blobs_new;
        }
        if (auto told = advance(piece.size); !told) {
            return told;
        }
        out.pieces.push_back(std::move(piece));
    }
    return {};
}

// No backup vouches for a segment that is damaged.
base::status backing_up::check(std::unique_ptr<base::file> stored,
                               const format::segment_header& header, std::uint64_t logical_size) {
    if (header.flags == format::segment_flag::scavenged) {
        const auto holds = content_hash_holds(*stored, header);
        if (!holds) {
            return environment(holds.error());
        }
        if (!*holds) {
            return damaged(header.number, 0, "the scavenged segment fails its content hash");
        }
    }
    scan_state state;
    state.log_id = anchor_.log.id;
    state.next_segment = header.number;
    state.end = {header.first_position};
    auto whole = show_whole_segment(std::move(stored));
    if (!whole) {
        return environment(whole.error());
    }
    std::optional<scan_fault> fault;
    const auto opened = open_segment(std::move(*whole), state, fault, chain_check::unknown);
    if (!opened) {
        return environment(opened.error());
    }
    if (!fault) {
        state.chain = header.previous_chain;
        auto scanned = scan_frames(**opened, logical_size, state, hasher_, {});
        if (!scanned) {
            return environment(scanned.error());
        }
        fault = std::move(*scanned);
    }
    if (fault) {
        return damaged(header.number, fault->offset, fault->what);
    }
    if (header.number == anchor_.segment && state.chain != anchor_.chain) {
        return damaged(header.number, logical_size, "it does not agree with the head anchor");
    }
    chain_ = state.chain;
    return {};
}

base::result<backup_report> backing_up::run(base::utc_time now) {
    base::status done = read_anchor();
    done = done ? look_at_target() : done;
    done = done ? read_first_positions() : done;
    for (std::uint32_t number = 0; done && number <= anchor_.segment; ++number) {
        done = store_segment(number);
    }
    if (!done) {
        return fail(std::move(done.error()));
    }
    backup_manifest& manifest = report_.manifest;
    manifest.log = anchor_.log;
    manifest.created = now;
    manifest.end = anchor_.end;
    manifest.events = anchor_.event_count;
    manifest.last_event = anchor_.last_event;
    manifest.chain = anchor_.chain;
    const std::string text = to_text(manifest);
    if (!parse_manifest(manifest.name(), text)) {
        return fail(errc::corrupt, "the segments do not join: run `immortal log verify`");
    }
    const auto put = target_.put(manifest.name(), std::as_bytes(std::span(text)));
    return put ? base::result<backup_report>(std::move(report_)) : fail(put.error());
}

} // namespace

base::result<backup_report> make_backup(const std::string& folder, base::file_system& files,
                                        base::clock& clock, backup_target& target,
                                        const progress_callback& progress) {
    return backing_up(folder, files, target, progress).run(clock.now());
}

base::result<std::vector<backup_entry>> list_backups(backup_target& target) {
    const auto blobs = target.list("manifests");
    if (!blobs) {
        return fail(blobs.error());
    }
    std::vector<backup_entry> out;
    for (const auto& blob : *blobs) {
        auto manifest = read_manifest(target, blob.name);
        if (!manifest && manifest.error().code != errc::corrupt &&
            manifest.error().code != errc::invalid_argument) {
            return fail(std::move(manifest.error()));
        }
        out.push_back({blob.name.substr(blob.name.find('/') + 1), std::move(manifest)});
    }
    return out;
}

base::result<prune_report> prune_backups(backup_target& target, std::size_t keep) {
    IMMORTAL_ASSERT(keep > 0);
    const auto entries = list_backups(target);
    const auto blobs = target.list("blobs");
    if (!entries || !blobs) {
        return fail(entries ? blobs.error() : entries.error());
    }
    std::set<std::string> needed;
    const std::size_t old = entries->size() - std::min(keep, entries->size());
    for (std::size_t i = old; i < entries->size(); ++i) {
        if (!(*entries)[i].manifest) {
            return fail((*entries)[i].manifest.error());
        }
        for (const backup_segment& segment : (*entries)[i].manifest->segments) {
            for (const backup_piece& piece : segment.pieces) {
                needed.insert(piece.blob());
            }
        }
    }
    prune_report report;
    for (std::size_t i = 0; i < old; ++i) { // manifests first: one that is there is complete
        if (auto done = target.remove("manifests/" + (*entries)[i].name); !done) {
            return fail(std::move(done.error()));
        }
        ++report.backups_removed;
    }
    for (const auto& blob : *blobs) {
        if (needed.contains(blob.name)) {
            continue;
        }
        if (auto done = target.remove(blob.name); !done) {
            return fail(std::move(done.error()));
        }
        ++report.blobs_removed;
        report.bytes_removed += blob.size;
    }
    return report;
}

} // namespace immortal::eventlog
