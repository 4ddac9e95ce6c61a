// How a log is opened.
//
// Before a frame is read two things are known. The head anchor says how far the log is durable and
// acknowledged, and the chain value there. The index, which is derived and may say anything, keeps
// places up to which it holds every entry, with the chain value of each. Between them they decide
// what has to be read: a start costs what was appended since the index's last place, not the log.
//
//   1. Read the anchor. Without one only an unfinished creation is finished: at most one segment,
//      without frames. Anything else without a whole anchor is refused.
//   2. Look at the segments from 0 on (recovery_scan). Those that end before the start are not
//      read: place, length and the last frame of the newest are checked. Then every frame and every
//      record is, and the index and the recent ids get what is new to them.
//   3. Decide. A fault at or below the anchor after a look that relied on the index is looked at
//      again without it: either the log is damaged and the start is refused, or the index was wrong
//      and is thrown away and filled from the log's beginning.
//   4. Cut what follows the last whole frame behind the anchor; it is kept in *.torn files.
//   5. Make durable what was found: the folder's names, the bytes behind the anchor (written again:
//      after a failed sync they may stand in memory only), then the anchor itself.
//   6. Hand the log to its writer.
//
// Invariants, each asserted here or in recovery_scan.cpp where it could break:
//
//   I1  Nothing at or below the anchor is changed; before 4 nothing is changed at all.
//   I2  The chain led through the index's place and then through the anchor's, with the values that
//       they name, before anything is cut: recovery_scan's phase only moves forward, one at a time.
//   I3  The anchor never moves back, and moves to a place only when everything before it is
//   durable. I4  The segments found are 0, 1, 2 … without a gap, each beginning where the one
//   before ends,
//       and the last one ends where the log ends.
//   I5  Every frame behind the index's place is given to the index once, in order and whole; no
//       frame before it is.
//
// The writer (log_tail) appends at the end of the last segment because of I3 and I4, and decides
// revisions by the index because of I5; readers believe places below the head because of I1 and I2;
// backups and `log verify`, which read beside a running log, because of I1.
#include "eventlog/recovery.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/planted_fault.hpp"
#include "eventlog/recovery_scan.hpp"
#include "eventlog/segment_files.hpp"

#include <utility>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;
using base::file_error;

std::unexpected<base::error> environment(const file_error& problem) {
    base::log_error("eventlog", "the log could not be opened", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

std::unexpected<base::error> damaged(std::string message) {
    message += "; nothing was changed: restore the log from a backup, or run `immortal log verify` "
               "to see all damage";
    return fail(errc::corrupt, std::move(message));
}

// The opening of one folder.
class recovery {
public:
    explicit recovery(recovery_scan::parts given) : parts_(given) {}

    base::result<recovered_log> open_or_create(base::random_source& random);

private:
    base::result<recovered_log> create(base::random_source& random);
    base::result<recovered_log> open(head_anchor anchor);
    [[nodiscard]] base::result<bool> is_new() const;
    base::result<std::unique_ptr<recovery_scan>> find_log(const anchor_state& anchor);
    base::result<std::uint64_t> cut_tail(const recovery_scan& found, const anchor_state& known);
    base::status make_found_durable(const segment& last, const anchor_state& found,
                                    head_anchor& anchor);

    recovery_scan::parts parts_;
    std::vector<std::uint32_t> numbers_; // of the segments in the folder, ascending
};

base::result<recovered_log> recovery::open_or_create(base::random_source& random) {
    const std::string& folder = parts_.settings.folder;
    const auto names = parts_.files.list(folder);
    if (!names) {
        return environment(names.error());
    }
    for (const std::string& name : *names) {
        if (const auto number = format::segment_number(name)) {
            IMMORTAL_ASSERT(numbers_.empty() || numbers_.back() < *number);
            numbers_.push_back(*number);
        }
    }
    auto anchor = head_anchor::open(parts_.files, folder, base::open_mode::read_write);
    if (!anchor && anchor.error().what != file_error::kind::not_found) {
        return environment(anchor.error());
    }
    if (!anchor) {
        const auto fresh = is_new();
        if (!fresh) {
            return fail(fresh.error());
        }
        return *fresh
                   ? create(random)
                   : damaged("the log's head anchor is missing, so that a missing tail could not "
                             "be noticed");
    }
    if (!*anchor) {
        return damaged("both slots of the log's head anchor are damaged");
    }
    return open(std::move(**anchor));
}

// Without an anchor only an unfinished creation is accepted: at most one segment without frames.
base::result<bool> recovery::is_new() const {
    if (numbers_.empty()) {
        return true;
    }
    if (numbers_ != std::vector<std::uint32_t>{0}) {
        return false;
    }
    const auto first = segment_walk::open(parts_.files, parts_.settings.folder, 0);
    if (!first) {
        return environment(first.error());
    }
    return first->stored_size() <= sizeof(format::segment_header);
}

base::result<recovered_log> recovery::create(base::random_source& random) {
    IMMORTAL_ASSERT(numbers_.size() <= 1);
    const std::string& folder = parts_.settings.folder;
    base::log_identity identity{base::uuid::make_random(random), 1};
    if (auto opened = parts_.index.open(identity); !opened) {
        return fail(std::move(opened.error()));
    }
    scan_state state;
    state.log_id = identity.id;
    state.chain = chain_hasher().genesis(identity.id);
    auto first = create_segment(parts_.files, folder, state, identity.epoch, parts_.clock.now());
    if (!first) {
        return environment(first.error());
    }
    state.next_segment = 1;
    state.end = (*first)->first_frame();
    auto segments =
        std::make_unique<segment_list>(parts_.files, folder, parts_.settings.open_segments_max);
    segments->add(std::move(*first));
    auto anchor =
        head_anchor::create(parts_.files, folder, {identity, 0, state.end, 0, {}, state.chain});
    if (!anchor) {
        return environment(anchor.error());
    }
    IMMORTAL_ASSERT(anchor->state().end == state.end && anchor->state().chain == state.chain);
    return recovered_log{std::move(*anchor), std::move(segments), state, 0};
}

// The index may say something wrong; the log decides.
base::result<std::unique_ptr<recovery_scan>> recovery::find_log(const anchor_state& anchor) {
    const auto look = [&](index_use use) {
        return std::make_unique<recovery_scan>(parts_, anchor, numbers_, use);
    };
    auto found = look(index_use::go_on);
    auto problem = found->run();
    if (problem && *problem && found->relies_on_index()) {
        base::log_warning("eventlog", "the index and the log do not fit: the whole log is read",
                          {{"cause", **problem}});
        found = look(index_use::look_only);
        problem = found->run();
        if (problem && !*problem) {
            if (auto done = parts_.index.discard(); !done) {
                return fail(std::move(done.error()));
            }
            found = look(index_use::rebuild);
            problem = found->run();
        }
    }
    if (!problem) {
        return fail(std::move(problem.error()));
    }
    if (*problem) {
        return damaged(std::move(**problem));
    }
    return found;
}

// I1: the place to cut at lies behind the anchor, and the log ends there afterwards.
base::result<std::uint64_t> recovery::cut_tail(const recovery_scan& found,
                                               const anchor_state& known) {
    if (!found.torn()) {
        return 0;
    }
    const auto& torn = *found.torn();
    IMMORTAL_ASSERT(torn.place >= known.end && torn.place == found.state().end);
    IMMORTAL_ASSERT(torn.segment >= known.segment);
    const auto cut = cut_torn_tail(parts_.files, parts_.settings.folder, numbers_, torn.segment,
                                   torn.offset, torn.cause);
    return cut ? base::result<std::uint64_t>(*cut) : environment(cut.error());
}

// I3. What was found counts from now on, so it is durable first: names whose sync failed in an
// earlier run, and what stands beyond the anchor.
base::status recovery::make_found_durable(const segment& last, const anchor_state& found,
                                          head_anchor& anchor) {
    const anchor_state known = anchor.state();
    if (auto synced = parts_.files.sync_directory(parts_.settings.folder); !synced) {
        return environment(synced.error());
    }
    if (found.end == known.end) {
        return {};
    }
    IMMORTAL_ASSERT(is_planted(planted_fault::trust_length) ||
                    (found.end > known.end && found.event_count >= known.event_count));
    IMMORTAL_ASSERT(found.segment == last.number() && found.log == known.log);
    if (auto written = make_durable(last, known.end, found.end); !written) {
        return environment(written.error());
    }
    if (auto stored = anchor.store(found); !stored) {
        return environment(stored.error());
    }
    return {};
}

base::result<recovered_log> recovery::open(head_anchor anchor) {
    const anchor_state known = anchor.state();
    if (auto opened = parts_.index.open(known.log); !opened) {
        return fail(std::move(opened.error()));
    }
    const auto found = find_log(known);
    if (!found) {
        return fail(found.error());
    }
    const auto bytes_cut = cut_tail(**found, known);
    if (!bytes_cut) {
        return fail(bytes_cut.error());
    }
    const scan_state state = (*found)->state();
    auto segments = (*found)->take_segments();
    const auto last = segments->last();
    const auto size = last->contents().size();
    if (!size) {
        return environment(size.error());
    }
    IMMORTAL_ASSERT(*size == last->offset_of(state.end)); // I4
    anchor_state now = known;
    now.segment = last->number();
    now.end = state.end;
    now.event_count = state.events;
    now.last_event = state.last_event;
    now.chain = state.chain;
    if (auto done = make_found_durable(*last, now, anchor); !done) {
        return fail(std::move(done.error()));
    }
    IMMORTAL_ASSERT(anchor.state().end == state.end);
    parts_.index.made_durable(now.end);
    return recovered_log{std::move(anchor), std::move(segments), state, *bytes_cut,
                         (*found)->index_place()};
}

} // namespace

base::result<recovered_log> recover(const log_settings& settings, base::file_system& files,
                                    base::clock& clock, base::random_source& random,
                                    log_index& index, recent_ids& ids) {
    return recovery({settings, files, index, ids, clock}).open_or_create(random);
}

} // namespace immortal::eventlog
