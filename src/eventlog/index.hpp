// Where the events of a stream, a category or a type stand in the log. Derived data: it can be
// thrown away and rebuilt from the log. Today in memory (memory_index.hpp); an index on disk keeps
// the older part and has the same face.
//
// One writer adds entries in log order, before they are durable. Readers on any thread name the end
// up to which they may see entries: the durable end of the log.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventlog/event.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace immortal::eventlog {

struct index_entry {
    std::string_view stream;
    std::string_view type;
    base::revision revision;
    base::position position;
};

enum class index_view : std::uint8_t { category, type };

class log_index {
public:
    virtual ~log_index() = default;

    // --- the writer ---
    // Entries before this position are kept across restarts; the log is read again from here on.
    [[nodiscard]] virtual base::position kept_until() const = 0;
    // Copies what it needs. `entry.revision` is the one after the stream's last, or
    // tombstone_revision, after which last_revision() says so and nothing more is added.
    virtual void add(const index_entry& entry) = 0;
    // Takes back the newest entry, which is this one: its append was not written.
    virtual void take_back(const index_entry& entry) = 0;
    // Everything before `durable` is on disk in the log; entries before it may be moved to disk.
    virtual void checkpoint(base::position durable) = 0;

    // --- any thread ---
    // Only entries before `end` count. Errors: corrupt, unavailable (an index on disk).
    [[nodiscard]] virtual base::result<std::optional<base::revision>>
    last_revision(std::string_view stream, base::position end) = 0;
    // Positions of up to `count_max` events from revision `from` on, in reading order. A backwards
    // read begins at the last event if `from` is beyond it.
    [[nodiscard]] virtual base::result<std::vector<base::position>>
    stream_positions(std::string_view stream, base::revision from, direction way,
                     std::size_t count_max, base::position end) = 0;
    // The same for the events of a category (the part of the stream name before the first '-') or
    // type, numbered 0, 1, 2, ... in log order. The numbers never change.
    [[nodiscard]] virtual base::result<std::uint64_t>
    view_size(index_view view, std::string_view name, base::position end) = 0;
    [[nodiscard]] virtual base::result<std::vector<base::position>>
    view_positions(index_view view, std::string_view name, std::uint64_t from, direction way,
                   std::size_t count_max, base::position end) = 0;
};

// The part of a stream name before the first '-', empty if there is none.
[[nodiscard]] constexpr std::string_view category_of(std::string_view stream) {
    const std::size_t dash = stream.find('-');
    return dash == std::string_view::npos ? std::string_view{} : stream.substr(0, dash);
}

} // namespace immortal::eventlog
