// The event log: an append-only store of events, durable, checked end to end, in one folder.
//
// One writer thread takes appends from a bounded queue, decides them against the streams' state,
// writes and syncs them in groups, syncs the head anchor, then publishes and answers. Nothing is
// visible to a reader before it is durable. The format is in format.hpp and
// docs/eventlog-format.md.
#pragma once

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/ids.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "eventlog/disk_index.hpp"
#include "eventlog/event.hpp"
#include "eventlog/index.hpp"
#include "eventlog/record.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::base {
class metrics;
}

namespace immortal::eventlog {

class scavenger;

struct log_settings {
    std::string folder;
    std::uint64_t segment_size = 256u << 20; // bytes; a new segment begins when a frame would cross
    std::uint64_t free_space_min = 256u << 20; // bytes; below it, appends are refused
    // Room on the disk that is kept for a scavenge of a full disk, once a segment is closed: as
    // much as a segment takes (scavenger::maintain_reserve). 0: none.
    std::uint64_t scavenge_reserve_bytes = 0;
    // Closed segments whose files are open at the same time; others are opened when they are read.
    std::size_t open_segments_max = 256;
    std::size_t queue_appends_max = 8192;     // appends waiting for the writer
    std::size_t queue_bytes_max = 256u << 20; // what these hold in memory
    std::size_t append_events_max =
        eventlog::append_events_max; // of one append; not more than that
    std::size_t append_frame_size_max = eventlog::append_frame_size_max; // the same
    std::size_t group_appends_max = 1024; // appends made durable by one sync
    std::size_t group_bytes_max = 8u << 20;
    // While a group of so many bytes is made durable, the next one is prepared. Smaller groups are
    // not worth it: what comes meanwhile shares the next sync.
    std::size_t overlap_bytes_min = 128u << 10;
    // Groups of so many bytes go past the page cache: they come from imports and are not read again
    // at once, and copying them there takes longer than the disk does.
    std::size_t uncached_bytes_min = 256u << 10;
    std::chrono::microseconds group_wait_max{150}; // how long to wait for as many as came last time
    std::size_t remembered_ids = 1u << 17;         // newest event ids kept for `any` appends
    // An empty folder: the index stands in memory only, and every start reads the whole log (tests,
    // small tools).
    disk_index_settings index{};
    // Streams whose state the writer keeps in memory, about 150 bytes each. When another one is
    // written, the index is asked for the last event of it and of its metadata stream, and the log
    // for those that there are.
    std::size_t known_streams = 1u << 18;
    std::size_t known_metadata = 1u << 15; // streams whose metadata is kept in memory for readers
    // A jump of the machine's clock of at least `clock_jump_min` against the time that really went
    // by is not believed before it has lasted for `clock_jump_hold` (event_clock.hpp).
    std::chrono::milliseconds clock_jump_min{60'000};
    std::chrono::milliseconds clock_jump_hold{600'000};
};

enum class log_state : std::uint8_t {
    writable,
    disk_full, // the free-space floor is reached; writes resume by themselves
    failed,    // a write or sync failed; reads go on, writes need a restart
    closed,
};

// What stands where in the log.
struct log_head {
    std::optional<base::position> last_event; // empty: no events
    base::position end;                       // one past the last durable byte
};

// What `$maxCount`, `$maxAge` and `$tb` hide is left out of a slice, whether or not a scavenge
// removed it.
struct stream_slice {
    std::vector<recorded_event> events;
    std::optional<base::revision> last; // of the stream, hidden ones count; empty: never written
    bool end = true;
    bool soft_deleted = false; // nothing is shown
    base::revision next;       // read from here for what follows, unless it is the end
    // The first revision shown at or after `from`; one past what is there if none is. Backwards: at
    // or before `from`; empty if none is. Where the slice shows nothing and is not the end: where
    // to look for it.
    std::optional<base::revision> next_readable;
    std::size_t whole =
        0; // forwards: so many of `events` belong to appends that are here completely
};

// Events of a view, with their numbers in it. The numbers of events that a scavenge removed are
// missing.
struct view_slice {
    struct entry {
        std::uint64_t number = 0;
        recorded_event event;
    };
    std::vector<entry> entries;
    std::uint64_t size = 0; // of the view
    std::uint64_t next = 0; // read from here for what follows, unless it is the end
    bool end = true;
};

struct log_slice {
    std::vector<recorded_event> events;
    base::position next;                     // where the following slice begins
    std::optional<base::position> last_seen; // the last event looked at, wanted or not
    std::size_t considered = 0;              // events looked at
    bool end = true;
    // Forwards: the same, cut back to the end of the last append that is here completely.
    std::size_t whole = 0;
    std::size_t whole_considered = 0;
    base::position whole_next;
    std::optional<base::position> whole_last_seen;
};

// How much one call of a read looks at before it comes back, with what it found or with nothing: a
// reader who shares its thread calls again after others had it. At least one event is looked at,
// shown or not; backwards, a few more than said may be.
struct read_bounds {
    std::size_t records = std::numeric_limits<std::size_t>::max();     // events looked at
    std::uint64_t bytes = std::numeric_limits<std::uint64_t>::max();   // of their records
    std::chrono::steady_clock::duration time = std::chrono::hours(24); // by the log's clock
};

// Where a forwards read begins. `boundary`: `next` or `whole_next` of an earlier slice of this log,
// so that the frame there need not be looked for.
enum class read_start : std::uint8_t { anywhere, boundary };

// Says whether an event is wanted. Called on the reader's thread, before the event is copied.
using record_filter = std::function<bool(const record_view&)>;
// Called exactly once: on the caller's thread inside append() when the request is refused out of
// hand, else on one of the log's threads; calls of different appends may overlap. Must not throw,
// block, or call close().
using append_callback = std::function<void(base::result<append_outcome>)>;
// What became readable at once: the events of one group of appends, in log order.
struct publication {
    log_head head;                        // after it
    std::span<const index_entry> entries; // every event of it; refers to the writer's own memory
};
// Called on one of the log's threads, one call at a time, after new events became durable and
// readable and before their appends are answered. `what` is valid during the call. Must not throw
// or block.
using publication_callback = std::function<void(const publication& what)>;

class log {
public:
    // Opens the log in `settings.folder`, or makes one. Errors: already_exists with reason "in_use"
    // (another process has it open), corrupt (damage or a missing tail at or below the head anchor;
    // the message names segment and offset; nothing was changed), forbidden, unavailable. `files`,
    // `clock` and `metrics` (may be null) outlive the log.
    [[nodiscard]] static base::result<std::unique_ptr<log>>
    open(log_settings settings, base::file_system& files, base::clock& clock,
         base::random_source& random, base::metrics* metrics);

    virtual ~log() = default; // closes

    // Thread-safe, does not wait. Outcomes as in event_store::append. An append without any events
    // checks the expectations and writes nothing.
    virtual void append(std::vector<stream_write> writes, append_callback done,
                        append_terms terms = {}) = 0;

    // Reads: thread-safe, blocking on the file system, durable events only.
    // Errors: corrupt, unavailable (read error), invalid_argument, deleted (the stream is
    // tombstoned). Forwards: revisions from `from` up; backwards: from `from` down. `count_max`
    // >= 1. Without events and not at the end only where `bounds` said so.
    [[nodiscard]] virtual base::result<stream_slice>
    read_stream(std::string_view stream, base::revision from, direction way, std::size_t count_max,
                const read_bounds& bounds = {}) = 0;
    // Forwards: events at or after `from`; backwards: before `from`, newest first. Looks through at
    // most `scan_bytes_max` of the log (rounded up to whole frames), forwards also at most
    // `considered_max` events, so a slice may be empty without being the end.
    [[nodiscard]] virtual base::result<log_slice>
    read_all(base::position from, direction way, std::size_t count_max,
             const record_filter& filter = {}, std::uint64_t scan_bytes_max = 4u << 20,
             read_start where = read_start::anywhere,
             std::size_t considered_max = std::numeric_limits<std::size_t>::max()) = 0;
    // The events of a view (index.hpp) from number `from` on, hidden and deleted ones too;
    // backwards from the last one if `from` is beyond it.
    [[nodiscard]] virtual base::result<view_slice> read_view(index_view view, std::string_view name,
                                                             std::uint64_t from, direction way,
                                                             std::size_t count_max,
                                                             const read_bounds& bounds = {}) = 0;
    [[nodiscard]] virtual base::result<std::uint64_t> view_size(index_view view,
                                                                std::string_view name) = 0;
    // Whether each of these events would be shown by a read of its stream now.
    [[nodiscard]] virtual base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events) = 0;
    // No error for a tombstoned stream.
    [[nodiscard]] virtual base::result<stream_info> info(std::string_view stream) = 0;
    // The event that ended a stream for ever; empty: none did.
    [[nodiscard]] virtual base::result<std::optional<recorded_event>>
    tombstone(std::string_view stream) = 0;
    // The last durable revision, hidden events count; empty: the stream has no events.
    [[nodiscard]] virtual base::result<std::optional<base::revision>>
    stream_head(std::string_view stream) = 0;

    // Returns a ticket. After remove_listener() returns, the callback is not running and never runs
    // again; not to be called from the callback.
    virtual std::uint64_t add_listener(publication_callback listener) = 0;
    virtual void remove_listener(std::uint64_t ticket) = 0;

    [[nodiscard]] virtual log_head head() const = 0;
    [[nodiscard]] virtual base::log_identity identity() const = 0;
    [[nodiscard]] virtual log_state state() const = 0;
    // Lives as long as the log; see scavenger.hpp.
    [[nodiscard]] virtual scavenger& scavenges() = 0;

    // Refuses new appends, finishes those in the queue, ends the writer thread, releases the
    // folder. Stops a scavenge. Reads must have ended. Idempotent.
    virtual void close() = 0;
};

} // namespace immortal::eventlog
