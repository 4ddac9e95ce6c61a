// Events as they are written and as they are read back: the vocabulary shared by the log, the
// event-store port and its users.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/uuid.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::eventlog {

enum class content : std::uint8_t { json, binary };
enum class direction : std::uint8_t { forwards, backwards };

constexpr std::size_t event_size_max = 16u << 20;   // data + metadata + type of one event, bytes
constexpr std::size_t append_size_max = 64u << 20;  // of one atomic append: the sum of these, bytes
constexpr std::size_t append_events_max = 1u << 17; // events of one atomic append
// One atomic append as it stands in the log, bytes: its contents, and a header and the stream's
// name for each event.
constexpr std::size_t append_frame_size_max = 72u << 20;
constexpr std::size_t record_header_size = 64;     // bytes in front of each event in the log
constexpr std::size_t stream_name_size_max = 1024; // bytes of UTF-8, "$$" of its metadata included
constexpr std::size_t event_type_size_max = 1024;  // bytes of UTF-8

// What an append demands of a stream's state before it.
struct expected_revision {
    enum class kind : std::uint8_t {
        any,
        no_stream,
        stream_exists,
        exact,
        soft_deleted,
        tombstoned
    };
    kind what = kind::any;
    base::revision exact = {}; // with kind::exact: the number of the stream's last event

    static constexpr expected_revision any() { return {kind::any, {}}; }
    static constexpr expected_revision no_stream() { return {kind::no_stream, {}}; }
    static constexpr expected_revision stream_exists() { return {kind::stream_exists, {}}; }
    static constexpr expected_revision soft_deleted() { return {kind::soft_deleted, {}}; }
    static constexpr expected_revision tombstoned() { return {kind::tombstoned, {}}; }
    static constexpr expected_revision at(base::revision last) { return {kind::exact, last}; }
    // `last`: empty for a stream that has no events.
    static constexpr expected_revision after(std::optional<base::revision> last) {
        return last ? at(*last) : no_stream();
    }
    friend bool operator==(const expected_revision&, const expected_revision&) = default;
};

struct new_event {
    base::uuid id;
    std::string type;
    std::string data;     // UTF-8 JSON if `format` is json (not checked here), else any bytes
    std::string metadata; // usually a JSON object; may be empty
    content format = content::json;
    // Orders the events of an append over several streams: those with a smaller place stand before
    // others in the log, those of one place as they are given. Never falls inside a stream_write.
    std::uint32_t place = 0;
};

// Bytes of the log that an event takes in a stream with a name of `stream_name_size` bytes.
[[nodiscard]] inline std::size_t encoded_size(std::size_t stream_name_size,
                                              const new_event& event) noexcept {
    return record_header_size + stream_name_size + event.type.size() + event.metadata.size() +
           event.data.size();
}

// The last event of a tombstoned stream has this number; nothing follows it.
constexpr base::revision tombstone_revision{
    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())};

// What an append does to one stream. Each stream stands at most once in an append.
struct stream_write {
    enum class action : std::uint8_t {
        append,      // `events`; none: only checks the expectation
        soft_delete, // hides what is there: `$tb` in the stream's metadata; no `events`
        tombstone,   // ends the stream for ever; no `events`
        // Nothing: the append is refused unless `expected` holds when it is decided. Unlike an
        // append without events it may name streams that were deleted: no_stream also holds for a
        // stream that is soft-deleted or tombstoned. `expected` is not `any`; no `events`.
        check,
    };
    std::string stream;
    expected_revision expected = {};
    std::vector<new_event> events;
    action what = action::append;
};

// A stream that was not as an append expects it, as it stood when the append was decided.
struct unmet_expectation {
    enum class standing : std::uint8_t { absent, present, soft_deleted, tombstoned };
    std::size_t write = 0; // its place among the append's streams
    standing actual = standing::absent;
    std::optional<base::revision> last = {}; // with `present`; of a soft-deleted stream too, where
                                             // its revision is what does not fit
};

// What an append brings along beside its events.
struct append_terms {
    // From the call to the answer. An append that the writer has not begun by then is taken out of
    // the queue and answered `unavailable` (reason "deadline"): nothing was done. One that it has
    // begun is answered `unknown_outcome` (reason "deadline"), and goes on.
    std::chrono::milliseconds limit{10'000};
    // Held as long as anything of the append stands in memory, that is beyond an answer at the
    // deadline; its destruction, on any thread, gives back what was charged. May be null.
    std::shared_ptr<void> charge = nullptr;
    // If given, all that did not hold, in the order of the streams: filled before an answer of
    // `conflict` or `deleted`, and to be read after such an answer only.
    std::shared_ptr<std::vector<unmet_expectation>> unmet = nullptr;
};

struct append_outcome {
    base::position position; // of the append's last event; events that undelete do not count
    std::vector<std::optional<base::revision>>
        last_revisions; // one per stream_write, in the order given; of a tombstone: its own
    bool repeated =
        false; // nothing was written: the same events (by id) were found where they would have gone
};

struct recorded_event {
    base::position position;
    std::string stream;
    base::revision revision;
    base::uuid id;
    std::string type;
    std::string data;
    std::string metadata;
    base::utc_time created;
    content format = content::json;
    bool last_in_batch = true; // the last event of its atomic append
    // Of a link that a view made: what it leads to, so that this need not be read again. Else null.
    std::shared_ptr<const recorded_event> link_target = nullptr;
};

// A stream's state beside its events.
struct stream_info {
    std::optional<base::revision> last; // hidden events count; empty: never written
    bool soft_deleted = false;
    bool tombstoned = false;                               // `last` is tombstone_revision
    std::optional<recorded_event> metadata = std::nullopt; // the last event of `$$<stream>`
};

} // namespace immortal::eventlog
