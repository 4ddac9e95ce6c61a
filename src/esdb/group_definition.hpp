// What defines a group, and its form in the configuration stream. Pure.
#pragma once

#include "base/result.hpp"
#include "esdb/group_settings.hpp"
#include "eventstore/event_store.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::esdb {

inline constexpr char all_stream[] = "$all";
inline constexpr char group_config_stream[] = "$persistentSubscriptionConfig";
inline constexpr char group_config_type[] = "$PersistentConfig";

// Where a group begins that has no checkpoint.
struct group_start {
    enum class kind : std::uint8_t { start, end, place };
    kind what = kind::start;
    std::uint64_t place = 0; // with kind::place: the first event's revision, or position of $all

    friend bool operator==(const group_start&, const group_start&) = default;
};

struct group_definition {
    std::string stream; // or all_stream
    std::string group;
    group_settings settings = {};
    group_start start = {};
    std::optional<eventstore::all_filter> filter = {}; // of $all
    // With group_start::kind::end: what stood at the end when the group was made (empty: nothing).
    // So nothing that is written later is missed, whenever the process restarts.
    std::optional<std::uint64_t> end_was = {};

    [[nodiscard]] bool of_all() const { return stream == all_stream; }
    [[nodiscard]] std::string key() const { return stream + "::" + group; }
    // The source is read after this.
    [[nodiscard]] std::optional<std::uint64_t> begins_after() const;
};

[[nodiscard]] std::string checkpoint_stream(const std::string& key);
[[nodiscard]] std::string parked_stream(const std::string& key);

// A place in the source: "5", or "C:5/P:5" of $all.
[[nodiscard]] std::string place_text(std::uint64_t place, bool of_all);
[[nodiscard]] std::optional<std::uint64_t> parse_place(std::string_view text, bool of_all);
[[nodiscard]] std::string start_text(const group_start& start, bool of_all); // also "-1", ...

// The data of a configuration event.
[[nodiscard]] std::string config_text(const std::vector<group_definition>& groups,
                                      base::utc_time updated, std::string_view updated_by);
// Errors: corrupt (it cannot be read; the message says which group).
[[nodiscard]] base::result<std::vector<group_definition>> parse_config(std::string_view text);

} // namespace immortal::esdb
