// The port to the event store. Adapters: embedded (our own log, in process), memory (tests),
// KurrentDB (remote). One suite of scenarios (event_store_scenarios) runs on all of them.
//
// Coroutines: any executor; a call may be cancelled only by its own deadline. The store outlives
// every call and subscription.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventlog/event.hpp"

#include <boost/asio/awaitable.hpp>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::eventstore {

using boost::asio::awaitable;
using eventlog::append_outcome;
using eventlog::append_terms;
using eventlog::direction;
using eventlog::expected_revision;
using eventlog::new_event;
using eventlog::recorded_event;
using eventlog::stream_info; // a stream's state beside its events
using eventlog::stream_write;
using eventlog::unmet_expectation;

// A page of a stream. Forwards: revisions from `from` up. Backwards: from `from` down. What
// `$maxCount`, `$maxAge` and `$tb` hide is left out, whether or not a scavenge removed it.
struct stream_page {
    std::vector<recorded_event> events;
    std::optional<base::revision> last; // of the stream, when read; empty: the stream has no events
    bool end = true;                    // nothing further in this direction at the time of the read
    bool soft_deleted = false;          // no events are shown; `last` is still the last revision
    // Forwards: the first revision shown at or after `from`, or the one that will come next.
    // Backwards: the first shown at or before `from`, empty if there is none.
    std::optional<base::revision> next_readable = {};
};

// An event as a reader sees it who follows links (events of type `$>`, data "<number>@<stream>").
struct resolved_event {
    std::optional<recorded_event> event; // empty: the link's target cannot be read (any more)
    std::optional<recorded_event> link;  // empty: it was no link
};

// Of an embedded store: a page with so many bytes of events ends, however many more are asked for.
inline constexpr std::size_t page_bytes = 4u << 20;

struct all_page {
    std::vector<recorded_event> events;
    base::position next; // read from here for the following page
    bool end = true;
};

// Matches an event if every part that is given says yes: its stream (type) starts with one of the
// prefixes; the expression is found in its stream (type), RE2 syntax, unanchored, case-sensitive;
// with `user_events_only`, neither stream nor type begins with '$'. An expression that does not
// compile is refused with invalid_argument by the first read. What a server keeps to itself is
// never shown: streams `$epoch-information`, and `$persistentsubscription-$all::...` ending in
// `-checkpoint` or `-parked`.
struct all_filter {
    std::vector<std::string> stream_prefixes = {};
    bool user_events_only = false;
    std::vector<std::string> type_prefixes = {};
    std::string stream_expression = {};
    std::string type_expression = {};
};

enum class write_state : std::uint8_t {
    writable,
    disk_full,   // the free-space floor is reached; writes resume by themselves
    sync_failed, // a sync failed; reads go on, writes need a restart
    stopping,
    unreachable, // remote only
};

// Catch-up, then live: every event after the start once, in order, without gap. Not thread-safe:
// one reader.
class subscription {
public:
    virtual ~subscription() = default;

    struct batch {
        std::vector<recorded_event>
            events;                 // whole batches only, unless one batch exceeds `count_max`
        base::position processed;   // every matching event up to here has been delivered
        bool caught_up = false;     // nothing more was durable when this was read
        std::size_t considered = 0; // events looked at since the last batch (subscribe_all)
    };
    // Waits until there is something: events, or (once, when first caught up) an empty batch with
    // `caught_up`. Errors: cancelled, unavailable (remote: the subscription re-connects by itself
    // before it gives up), deleted (the stream was tombstoned; a subscription that had begun before
    // gives the `$streamDeleted` event first), invalid_argument. A stream that is not there yet, or
    // soft-deleted, is waited for. With `considered_max` a batch of subscribe_all comes as soon as
    // so many events were looked at, with or without a match, and may then end inside a batch; it
    // also comes, perhaps without events, about a second after the first one that did not match.
    virtual awaitable<base::result<batch>> next(std::size_t count_max,
                                                std::size_t considered_max = unbounded) = 0;
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
    // Thread-safe. A pending and every later next() answers errc::cancelled.
    virtual void cancel() = 0;
};

class event_store {
public:
    virtual ~event_store() = default;

    // Writes all events of all streams, or nothing. Answers after they are durable and readable.
    // Errors: conflict (an expected revision did not hold; `field` names the stream), deleted,
    // invalid_argument, too_large, exhausted (queue or disk), unavailable (not written; with reason
    // "deadline": it waited too long for its turn), unknown_outcome (repeat the same append to find
    // out; with reason "deadline": it was under way when its time was up). Repeating an append
    // (same ids, same expectation) gives the first outcome, marked `repeated`. The answer comes
    // within `terms.limit`, and a remote store's own limit if that is shorter. Soft deletes and
    // tombstones are writes like others (stream_write::action). Writing to a soft deleted stream
    // undeletes it; its numbers go on. Streams that are views refuse every write (invalid_argument
    // with reason "system_view"). A write to a tombstoned stream, or one that expects a
    // soft-deleted stream to exist, is refused with deleted (reason "tombstoned", "soft_deleted";
    // `field` names the stream). A remote store keeps the order of the writes, whatever the events'
    // `place` says, and checks streams (stream_write::action::check) only together with a write of
    // events.
    virtual awaitable<base::result<append_outcome>> append(std::vector<stream_write> writes,
                                                           append_terms terms = {}) = 0;

    // `count_max` >= 1. A stream without events gives an empty page; one of large events may give
    // fewer than `count_max` though it has more (page_bytes), at least one. Views
    // (eventlog/system_view.hpp: `$ce-x`,
    // `$et-x`, `$bc-x`, `$streams`, `$category-x`) are read like streams and give link events.
    // Errors: deleted (tombstoned), invalid_argument, unavailable, corrupt.
    virtual awaitable<base::result<stream_page>>
    read_stream(std::string stream, base::revision from, direction way, std::size_t count_max) = 0;

    // The last revision, or empty for a stream without events. What is hidden or soft-deleted
    // counts; of a tombstoned stream it is tombstone_revision.
    virtual awaitable<base::result<std::optional<base::revision>>>
    stream_head(std::string stream) = 0;

    // Errors: unavailable, corrupt. A tombstoned stream is no error here.
    virtual awaitable<base::result<stream_info>> info(std::string stream) = 0;

    // One answer for each event given, in order. Errors: unavailable, corrupt.
    virtual awaitable<base::result<std::vector<resolved_event>>>
    resolve_links(std::vector<recorded_event> events) = 0;

    // Forwards: events at or after `from`. Backwards: events before `from`. Only durable events.
    // Of large events a page may have fewer than `count_max`, as above.
    virtual awaitable<base::result<all_page>>
    read_all(base::position from, direction way, std::size_t count_max, all_filter filter = {}) = 0;

    // Events strictly after `after` (empty: from the beginning).
    virtual std::unique_ptr<subscription> subscribe_all(std::optional<base::position> after,
                                                        all_filter filter = {}) = 0;
    virtual std::unique_ptr<subscription> subscribe_stream(std::string stream,
                                                           std::optional<base::revision> after) = 0;

    // Position of the last durable event; empty for an empty log. Thread-safe, does not wait.
    [[nodiscard]] virtual std::optional<base::position> head() const = 0;
    [[nodiscard]] virtual base::log_identity identity() const = 0;
    [[nodiscard]] virtual write_state state() const = 0;
};

} // namespace immortal::eventstore
