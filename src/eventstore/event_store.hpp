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

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::eventstore {

using boost::asio::awaitable;
using eventlog::append_outcome;
using eventlog::direction;
using eventlog::expected_revision;
using eventlog::new_event;
using eventlog::recorded_event;
using eventlog::stream_write;

// A page of a stream. Forwards: revisions from `from` up. Backwards: from `from` down.
struct stream_page {
    std::vector<recorded_event> events;
    std::optional<base::revision> last; // of the stream, when read; empty: the stream has no events
    bool end = true;                    // nothing further in this direction at the time of the read
};

struct all_page {
    std::vector<recorded_event> events;
    base::position next; // read from here for the following page
    bool end = true;
};

// Matches an event if its stream starts with one of `stream_prefixes` (none: any stream), and, with
// `user_events_only`, if neither stream nor type begins with '$'.
struct all_filter {
    std::vector<std::string> stream_prefixes;
    bool user_events_only = false;
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
            events;               // whole batches only, unless one batch exceeds `count_max`
        base::position processed; // every matching event up to here has been delivered
        bool caught_up = false;   // nothing more was durable when this was read
    };
    // Waits until there is something: events, or (once, when first caught up) an empty batch with
    // `caught_up`. Errors: cancelled, unavailable (remote: the subscription re-connects by itself
    // before it gives up), deleted.
    virtual awaitable<base::result<batch>> next(std::size_t count_max) = 0;
    // Thread-safe. A pending and every later next() answers errc::cancelled.
    virtual void cancel() = 0;
};

class event_store {
public:
    virtual ~event_store() = default;

    // Writes all events of all streams, or nothing. Answers after they are durable and readable.
    // Errors: conflict (an expected revision did not hold; `field` names the stream), deleted,
    // invalid_argument, too_large, exhausted (queue or disk), unavailable (not written),
    // unknown_outcome (repeat the same append to find out). Repeating an append (same ids, same
    // expectation) gives the first outcome, marked `repeated`.
    virtual awaitable<base::result<append_outcome>> append(std::vector<stream_write> writes) = 0;

    // `count_max` >= 1. A stream without events gives an empty page. Errors: deleted,
    // invalid_argument, unavailable, corrupt.
    virtual awaitable<base::result<stream_page>>
    read_stream(std::string stream, base::revision from, direction way, std::size_t count_max) = 0;

    // The last revision, or empty for a stream without events.
    virtual awaitable<base::result<std::optional<base::revision>>>
    stream_head(std::string stream) = 0;

    // Forwards: events at or after `from`. Backwards: events before `from`. Only durable events.
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
