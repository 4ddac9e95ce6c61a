// Decides an append against the streams' state: expected revisions and idempotency by event id.
// Pure; shared by the log's writer and the memory store. What follows from the decision, the events
// that deletes and undeletes write, is in append_plan.hpp.
//
// One stream, `last` = its last revision, hidden events included; the first rule that fits:
//   the stream is tombstoned                                                        deleted
//   expected any or stream_exists
//     stream_exists, and the stream is soft-deleted                                 deleted
//     stream_exists, and neither the stream nor its metadata stream has an event    conflict
//     a soft delete, and neither has an event                                       conflict
//     the first event id is not remembered in this stream (or there are no events)  write
//     all ids are remembered in this stream                                         repeated
//     a later id is not                                                             conflict
//   expected exact n, or no_stream (n = "before revision 0")
//     n < last   ids equal those stored at n+1, n+2, ...                            repeated
//                the first one differs, no_stream, and the stream is soft-deleted   write
//                else, and without events                                           conflict
//     n > last                                                                      conflict
//     n = last   a soft delete of a stream without events and metadata              conflict
//                else (even if an id was written before)                            write
//
//   expected soft_deleted
//     the stream is soft-deleted                                                    write
//     there are events, and all ids are remembered in this stream                   repeated
//     else                                                                          conflict
//   expected tombstoned                                                             conflict
//
// A stream that is only checked (action::check) is never written; a conflict unless it is as
// expected:
//   no_stream       it has no events, is soft-deleted or tombstoned
//   stream_exists   as above: neither deleted nor without events and metadata
//   exact n         n = last, soft-deleted or not; not tombstoned
//   soft_deleted, tombstoned   it is
//
// An append over several streams is deleted if any stream that it names otherwise than for a check
// is; repeated if every stream that gets events is, whatever the checks say; a conflict if any
// stream is one, or if some streams would be written and others are repeated; else it is written. A
// delete or tombstone is never repeated. Each stream that was not as expected is told.
#pragma once

#include "base/result.hpp"
#include "eventlog/event.hpp"

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace immortal::eventlog {

struct known_event {
    base::revision revision;
    base::position position;
};

// What is known of one stream, undurable events included. References stay valid during the call.
class stream_facts {
public:
    virtual ~stream_facts() = default;
    [[nodiscard]] virtual std::optional<base::revision> last() = 0;
    [[nodiscard]] virtual bool tombstoned() = 0; // of "$$x": x is
    [[nodiscard]] virtual bool soft_deleted() = 0;
    // The last revision of "$$<stream>"; empty for a metadata stream.
    [[nodiscard]] virtual std::optional<base::revision> last_metadata() = 0;
    // The data of that event, empty if it is not JSON or not there. Errors: corrupt, unavailable.
    [[nodiscard]] virtual base::result<std::string> metadata() = 0;
    // Of "$$x": the facts of x. Precondition: a metadata stream.
    struct described {
        std::optional<base::revision> last;
        bool soft_deleted = false;
    };
    [[nodiscard]] virtual described describes() = 0;
    // The stored event at a revision that exists; empty: it was removed since it is hidden.
    // Errors: corrupt, unavailable.
    [[nodiscard]] virtual base::result<std::optional<base::uuid>> id_at(base::revision at) = 0;
    [[nodiscard]] virtual base::result<base::position> position_at(base::revision at) = 0;
    // Among the remembered newest events.
    [[nodiscard]] virtual std::optional<known_event> find(const base::uuid& id) = 0;
};

struct append_verdict {
    bool write = false;     // else `outcome` is the answer
    append_outcome outcome; // of a repeated append, or of one without events
};

// `facts[i]` describes the stream of `writes[i]`. Errors: conflict (`field` names the stream,
// `reason` is "wrong_expected_revision"), deleted (`field` the same, `reason` is "tombstoned", or
// "soft_deleted" where it was expected to exist), and those of `facts`. With conflict and deleted
// `unmet`, unless null, lists every stream that was not as expected, in order.
[[nodiscard]] base::result<append_verdict>
decide_append(std::span<const stream_write> writes, std::span<stream_facts* const> facts,
              std::vector<unmet_expectation>* unmet = nullptr);

// Streams of one append that get no event: checked, deleted or tombstoned.
inline constexpr std::size_t append_bare_streams_max = 1'000;

// What can be refused without looking at any stream: bad names and events, `$$x` deleted, x deleted
// and `$$x` written at once, a write to a view, too much at once. Errors: invalid_argument (a view:
// with reason "system_view"), too_large (reason "event_too_large", "append_too_large").
[[nodiscard]] base::status validate_append(std::span<const stream_write> writes);

} // namespace immortal::eventlog
