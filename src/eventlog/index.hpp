// Where the events of a stream, a category or a type stand in the log. Derived data: it can be
// thrown away and rebuilt from the log. In memory for tests (memory_index.hpp); on disk, with the
// newest part in memory, for everyone else (disk_index.hpp).
//
// One writer adds entries in log order, before they are durable. Readers on any thread name the end
// up to which they may see entries: the durable end of the log.
//
// Every record ever written counts, in every list, for ever: numbers never change. Who removes
// records from a segment keeps what index_entry says of each, so that a rebuild gives the same
// numbers.
#pragma once

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventlog/event.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace immortal::eventlog {

// Of what cannot be answered while the index, or a part of it, is made anew, cannot be used or
// cannot follow: unavailable, and when to come back.
[[nodiscard]] inline base::error index_delay(std::string message,
                                             std::string reason = "index_damaged") {
    constexpr std::uint32_t retry_ms = 1'000;
    return {base::errc::unavailable, std::move(message), std::move(reason), "", retry_ms};
}

struct index_entry {
    std::string_view stream;
    std::string_view type;
    std::string_view correlation; // correlation.hpp; empty: none
    base::revision revision;      // tombstone_revision: the end of the stream
    base::position position;
};

// Lists of events over many streams, numbered 0, 1, 2, ... in log order. "An original event" is one
// that is neither a link (type `$>`) nor a tombstone; a category is the part of the stream name
// before the first '-', and streams whose name begins with '$' have none.
enum class index_view : std::uint8_t {
    category,         // name = category: its original events                   ($ce-<name>)
    type,             // name = type: all events of it but links; tombstones    ($et-<name>)
                      // under the type they were written with
    correlation,      // name = correlation id: its original events             ($bc-<name>);
                      // empty if the correlation index is switched off
    streams,          // name = "": event 0 of every stream                     ($streams)
    category_streams, // name = category: event 0 of each of its streams        ($category-<name>)
};
constexpr std::size_t index_view_count = 5;

// A place between two frames of the log, and what stands before it.
struct log_place {
    base::position end;
    base::digest256 chain{};
    std::uint64_t events = 0;
    base::position last_event; // meaningless without events
    base::utc_time last_created{};
    friend bool operator==(const log_place&, const log_place&) = default;
};

class index_source;

class log_index {
public:
    virtual ~log_index() = default;

    // --- the writer, one thread ---
    // Binds the index to a log, before anything else. What was kept for another one, by another
    // format, or cannot be read is thrown away. Errors: unavailable.
    [[nodiscard]] virtual base::status open(const base::log_identity& log) = 0;
    // Places up to which entries are kept across restarts, ascending: the last one is where adding
    // goes on, the others are only known places of the log. Empty: nothing is kept.
    [[nodiscard]] virtual std::vector<log_place> kept() const = 0;
    // Throws away everything. Errors: unavailable.
    [[nodiscard]] virtual base::status discard() = 0;

    // Copies what it needs. The entries of one frame, which begins at `frame`, in order. A revision
    // is the one after its stream's last, or tombstone_revision, after which nothing more is added.
    virtual void add(base::position frame, std::span<const index_entry> entries) = 0;
    // Takes back the newest frame, which is this one: it was not written.
    virtual void take_back(base::position frame, std::span<const index_entry> entries) = 0;
    // Everything added so far stands before `here`. May wait for the background when too much is in
    // memory. Errors: exhausted (the disk is full), unavailable (the index cannot be written now):
    // there is no room for more entries, nothing may be added now, later again.
    [[nodiscard]] virtual base::status rest_at(const log_place& here) = 0;
    // The same while the log is being opened, which no index keeps from it: waits as long as the
    // background gets on. If it cannot write, a warning says that everything stays in memory, and
    // it is the writer that finds no room.
    virtual void rest_of_start_at(const log_place& here) = 0;
    // Everything before `durable` is on disk in the log; entries before it may be moved to disk.
    virtual void made_durable(base::position durable) = 0;
    // Any thread: close() comes soon, and from now on until its end the background is waited for
    // no longer than a short while in all.
    virtual void expect_close() = 0;
    // Puts on disk what may be and soon can be, ends the background. Nothing is added afterwards.
    // What is not on disk then is added again from the log by the next start.
    virtual void close() = 0;

    // --- any thread ---
    // From what the index is made anew when it is found damaged; outlives close(). Until it is
    // given, nothing is made anew.
    virtual void set_source(index_source& source) = 0;
    // An answer of the index does not agree with the log: nothing it holds on disk counts any more,
    // and it is made anew.
    virtual void distrust(std::string_view cause) = 0;

    // --- any thread; only entries before `end` count ---
    // What cannot be found out, because a part of the index is damaged or cannot be read, is never
    // answered with "none". Errors: unavailable (an index on disk), and it may be asked again
    // later.
    [[nodiscard]] virtual base::result<std::optional<base::revision>>
    last_revision(std::string_view stream, base::position end) = 0;
    // Positions of up to `count_max` events from revision `from` on, in reading order. A backwards
    // read begins at the last event if `from` is beyond it. A tombstone is seen only by a read from
    // tombstone_revision, or backwards from above it.
    [[nodiscard]] virtual base::result<std::vector<base::position>>
    stream_positions(std::string_view stream, base::revision from, direction way,
                     std::size_t count_max, base::position end) = 0;
    // The same for a view, by its numbers.
    [[nodiscard]] virtual base::result<std::uint64_t>
    view_size(index_view view, std::string_view name, base::position end) = 0;
    [[nodiscard]] virtual base::result<std::vector<base::position>>
    view_positions(index_view view, std::string_view name, std::uint64_t from, direction way,
                   std::size_t count_max, base::position end) = 0;
    // A place at or before `at` where a frame begins, near it; {0} if none is known.
    [[nodiscard]] virtual base::result<base::position> frame_before(base::position at,
                                                                    base::position end) = 0;
};

// The part of a stream name before the first '-', empty if there is none or the stream is one of
// the system's.
[[nodiscard]] constexpr std::string_view category_of(std::string_view stream) {
    const std::size_t dash = stream.find('-');
    return dash == std::string_view::npos || stream.front() == '$' ? std::string_view{}
                                                                   : stream.substr(0, dash);
}

// Calls `use` with each view, and the name in it, that the event is an entry of. `correlations`:
// whether those are indexed.
void visit_views(const index_entry& entry, bool correlations,
                 const std::function<void(index_view view, std::string_view name)>& use);

} // namespace immortal::eventlog
