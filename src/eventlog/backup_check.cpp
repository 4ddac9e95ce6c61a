// Reads backups as a restore would, without a folder to restore into: a segment's pieces are shown
// as its file (piece_file) and walked like one.
//
// Backups share most of their segments. What the scan of a segment ended with is remembered under
// what it began with, so that each segment is walked once; while the segment that ends a line is
// walked, the ends of older backups in the same segment are noticed on the way.
#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/backup_pieces.hpp"
#include "eventlog/segment_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <map>
#include <set>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

constexpr std::size_t pieces_held_max = 4; // of 16 MiB at most: the runs of a scavenged segment
                                           // and the table of where they stand

class checking {
public:
    checking(backup_target& target, base::random_source& random,
             const backup_check_options& options)
        : target_(target), random_(random), options_(options) {}

    base::result<backup_check_report> run();

private:
    enum class piece_state : std::uint8_t { unread, good, bad };
    struct piece_use {
        backup_segment segment; // without its pieces
        backup_piece piece;
        std::string backup; // the newest that needs it
        std::uint64_t others = 0;
        piece_state state = piece_state::unread;
    };
    struct held_piece {
        std::string name;
        piece_file::bytes contents;
    };

    base::status choose();
    base::status collect();
    void add_pieces(const backup_manifest& manifest);
    base::status read_sample();
    base::status read_all();
    base::status check_chain(const backup_manifest& manifest);
    base::result<std::optional<std::string>> check_segment(const backup_manifest& manifest,
                                                           const backup_segment& segment,
                                                           scan_state& state, chain_check chain);
    void note_ends(const backup_segment& segment, const std::string& begin,
                   const scan_state& state);
    static std::string key_of(const backup_segment& segment, const scan_state& before);
    piece_file::bytes fetch(const backup_piece& piece);
    void find_bad(piece_use& use, const base::error& problem);
    void find_broken(const backup_manifest& manifest, std::string finding);
    void note_restorable();
    [[nodiscard]] base::status outcome() const {
        return stopped_ ? base::status(fail(*stopped_)) : base::status{};
    }

    backup_target& target_;
    base::random_source& random_;
    const backup_check_options& options_;
    std::vector<backup_manifest> manifests_; // newest first
    std::map<std::string, piece_use> uses_;  // by blob
    std::list<held_piece> held_;             // newest first
    std::map<std::string, scan_state> known_;
    std::set<std::string> broken_;       // backups that do not hold together
    std::optional<base::error> stopped_; // why no piece is fetched any more
    chain_hasher hasher_;
    backup_progress done_;
    backup_check_report report_;
};

std::string short_name(const backup_manifest& manifest) {
    return manifest.name().substr(manifest.name().find('/') + 1);
}

base::status checking::choose() {
    const auto entries = list_backups(target_);
    if (!entries) {
        return fail(entries.error());
    }
    for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
        if (!options_.backup.empty() && entry->name != options_.backup) {
            continue;
        }
        ++report_.backups;
        if (entry->manifest) {
            manifests_.push_back(*entry->manifest);
        } else {
            report_.findings.push_back(entry->manifest.error().message);
        }
    }
    if (report_.backups == 0) {
        return fail(errc::not_found, options_.backup.empty()
                                         ? "there is no backup at this place"
                                         : "there is no backup " + options_.backup);
    }
    return {};
}

void checking::add_pieces(const backup_manifest& manifest) {
    for (const backup_segment& segment : manifest.segments) {
        for (const backup_piece& piece : segment.pieces) {
            backup_segment bare = segment;
            bare.pieces.clear();
            const auto [use, is_new] = uses_.try_emplace(
                piece.blob(), piece_use{std::move(bare), piece, short_name(manifest)});
            use->second.others += is_new ? 0 : 1;
        }
    }
}

// Every piece is looked for, whether or not it is read.
base::status checking::collect() {
    std::ranges::for_each(manifests_, [&](const backup_manifest& one) { add_pieces(one); });
    const auto present = list_pieces(target_);
    if (!present) {
        return fail(present.error());
    }
    report_.pieces = uses_.size();
    for (auto& [name, use] : uses_) {
        if (auto there = check_presence(use.segment, use.piece, *present); !there) {
            find_bad(use, there.error());
        } else {
            done_.bytes_total += use.piece.size;
        }
    }
    return {};
}

void checking::find_bad(piece_use& use, const base::error& problem) {
    IMMORTAL_ASSERT(use.state == piece_state::unread);
    use.state = piece_state::bad;
    report_.findings.push_back(
        use.others == 0 ? fmt::format("{}; backup {} needs it", problem.message, use.backup)
                        : fmt::format("{}; backup {} and {} others need it", problem.message,
                                      use.backup, use.others));
}

void checking::find_broken(const backup_manifest& manifest, std::string finding) {
    broken_.insert(short_name(manifest));
    report_.findings.push_back(std::move(finding));
}

void checking::note_restorable() {
    const auto is_bad = [this](const backup_piece& piece) {
        return uses_.at(piece.blob()).state == piece_state::bad;
    };
    for (const backup_manifest& manifest : manifests_) {
        const bool lacks_pieces =
            std::ranges::any_of(manifest.segments, [&](const backup_segment& segment) {
                return std::ranges::any_of(segment.pieces, is_bad);
            });
        if (!lacks_pieces && !broken_.contains(short_name(manifest))) {
            report_.restorable.push_back(short_name(manifest));
        }
    }
}

piece_file::bytes checking::fetch(const backup_piece& piece) {
    const std::string name = piece.blob();
    const auto held = std::ranges::find(held_, name, &held_piece::name);
    if (held != held_.end()) {
        held_.splice(held_.begin(), held_, held);
        return held_.front().contents;
    }
    piece_use& use = uses_.at(name);
    if (stopped_ || use.state == piece_state::bad) {
        return nullptr;
    }
    auto bytes = fetch_piece(target_, use.segment, piece);
    if (!bytes && bytes.error().code != errc::not_found && bytes.error().code != errc::corrupt) {
        stopped_ = std::move(bytes.error());
        return nullptr;
    }
    if (use.state == piece_state::unread) {
        ++report_.pieces_read;
        report_.bytes_read += bytes ? bytes->size() : 0;
        done_.bytes_done += piece.size;
        if (options_.progress && !options_.progress(done_)) {
            stopped_ = base::error{errc::cancelled, "the check was stopped"};
            return nullptr;
        }
    }
    if (!bytes) {
        use.state = piece_state::unread; // also one that was good when it was read before
        find_bad(use, bytes.error());
        return nullptr;
    }
    use.state = piece_state::good;
    IMMORTAL_ASSERT(bytes->size() == piece.size && report_.pieces_read <= report_.pieces);
    held_.push_front({name, std::make_shared<const std::vector<std::byte>>(std::move(*bytes))});
    if (held_.size() > pieces_held_max) {
        held_.pop_back();
    }
    return held_.front().contents;
}

base::status checking::read_sample() {
    std::vector<const backup_piece*> left;
    for (const auto& [name, use] : uses_) {
        if (use.state == piece_state::unread) {
            left.push_back(&use.piece);
        }
    }
    const backup_sample& sample = *options_.sample;
    const std::uint64_t part = (left.size() * sample.percent + 99) / 100;
    const std::uint64_t wanted =
        std::min<std::uint64_t>(left.size(), sample.percent > 0 ? part : sample.pieces);
    done_.bytes_total = 0;
    IMMORTAL_ASSERT(wanted <= left.size());
    for (std::uint64_t i = 0; i < wanted; ++i) {
        std::swap(left[i], left[i + random_.next() % (left.size() - i)]);
        done_.bytes_total += left[i]->size;
    }
    for (std::uint64_t i = 0; i < wanted && !stopped_; ++i) {
        (void)fetch(*left[i]);
    }
    return outcome();
}

base::status checking::read_all() {
    for (const backup_manifest& manifest : manifests_) {
        if (auto checked = check_chain(manifest); !checked) {
            return checked;
        }
    }
    for (auto& [name, use] : uses_) { // behind damage that ended the walk of a segment
        if (use.state == piece_state::unread && !stopped_) {
            (void)fetch(use.piece);
        }
    }
    return outcome();
}

std::string checking::key_of(const backup_segment& segment, const scan_state& before) {
    std::string text =
        fmt::format("{} {} {} {} {} {}", base::hex(before.chain), before.events, segment.number,
                    segment.first_position, segment.logical_size, segment.header_crc);
    for (const backup_piece& piece : segment.pieces) {
        text += " " + piece.sha256;
    }
    return sha256_hex(std::as_bytes(std::span(text)));
}

// The ends of older backups that lie where the scan of `segment` stands: what their own scan of it
// would end with.
void checking::note_ends(const backup_segment& segment, const std::string& begin,
                         const scan_state& state) {
    IMMORTAL_ASSERT(state.next_segment == segment.number + 1);
    for (const backup_manifest& older : manifests_) {
        const backup_segment& last = older.segments.back();
        if (older.end != state.end || last.number != segment.number ||
            last.header_crc != segment.header_crc || last.pieces.size() > segment.pieces.size() ||
            !std::ranges::equal(last.pieces, std::span(segment.pieces).first(last.pieces.size()))) {
            continue;
        }
        known_.emplace(begin + " " + short_name(older), state);
    }
}

base::result<std::optional<std::string>> checking::check_segment(const backup_manifest& manifest,
                                                                 const backup_segment& segment,
                                                                 scan_state& state,
                                                                 chain_check chain) {
    const auto problem = [&](std::uint64_t offset, std::string_view what) {
        return std::optional(fmt::format("backup {} does not hold together: {} at offset {}: {}",
                                         short_name(manifest), format::segment_name(segment.number),
                                         offset, what));
    };
    const auto unreadable = [&]() -> base::result<std::optional<std::string>> {
        return stopped_ ? base::result<std::optional<std::string>>(fail(*stopped_))
                        : std::optional<std::string>(""); // its piece is among the findings
    };
    auto walk =
        segment_walk::open(std::make_unique<piece_file>(
                               segment, [this](const backup_segment&,
                                               const backup_piece& piece) { return fetch(piece); }),
                           segment.number);
    if (!walk) {
        return unreadable();
    }
    if (walk->size() != segment.logical_size) {
        return problem(0, "it has another length");
    }
    if (chain == chain_check::unknown && walk->header()) {
        state.chain = walk->header()->previous_chain;
    }
    state.next_segment = segment.number;
    state.end = {segment.first_position};
    const std::string begin = base::hex(state.chain) + std::to_string(state.events);
    auto fault = walk->enter(state, chain);
    fault = fault && !*fault ? walk->check_contents() : std::move(fault);
    if (fault && !*fault) {
        scan_visitor visit;
        visit.frame = [&](const frame_view&) { note_ends(segment, begin, state); };
        fault = walk->scan(segment.logical_size, state, hasher_, visit);
    }
    if (!fault) {
        return unreadable();
    }
    return *fault ? problem((*fault)->offset, (*fault)->what) : std::optional<std::string>();
}

base::status checking::check_chain(const backup_manifest& manifest) {
    scan_state state;
    state.log_id = manifest.log.id;
    state.chain = hasher_.genesis(manifest.log.id);
    chain_check chain = chain_check::continues;
    bool is_whole = true;
    for (const backup_segment& segment : manifest.segments) {
        const std::string key = key_of(segment, state);
        const std::string as_end =
            base::hex(state.chain) + std::to_string(state.events) + " " + short_name(manifest);
        const auto known = known_.find(
            segment.number + 1 == manifest.segments.size() && known_.contains(as_end) ? as_end
                                                                                      : key);
        if (chain == chain_check::continues && known != known_.end()) {
            state = known->second;
            continue;
        }
        auto problem = check_segment(manifest, segment, state, chain);
        if (!problem) {
            return fail(problem.error());
        }
        if (*problem) {
            if (!(*problem)->empty()) {
                find_broken(manifest, std::move(**problem));
            }
            is_whole = false;
            chain = chain_check::unknown;
            continue;
        }
        IMMORTAL_ASSERT(state.end.value == segment.first_position + segment.logical_size);
        IMMORTAL_ASSERT(state.next_segment == segment.number + 1);
        if (chain == chain_check::continues) {
            known_.emplace(key, state);
        }
        chain = chain_check::continues;
    }
    if (is_whole && (state.end != manifest.end || state.chain != manifest.chain ||
                     state.events != manifest.events)) {
        find_broken(manifest, fmt::format("backup {} does not hold together: its end is not the "
                                          "one that its manifest names",
                                          short_name(manifest)));
    }
    return {};
}

base::result<backup_check_report> checking::run() {
    base::status done = choose();
    done = done ? collect() : done;
    IMMORTAL_ASSERT(!done || report_.pieces == uses_.size());
    done = done ? (options_.sample ? read_sample() : read_all()) : done;
    if (!done) {
        return fail(std::move(done.error()));
    }
    note_restorable();
    IMMORTAL_ASSERT(!report_.sound() || report_.restorable.size() == report_.backups);
    return std::move(report_);
}

} // namespace

base::result<backup_check_report> check_backups(backup_target& target, base::random_source& random,
                                                const backup_check_options& options) {
    return checking(target, random, options).run();
}

} // namespace immortal::eventlog
