// What the metadata of a stream says: the last event of `$$<stream>`, a JSON object. Pure.
//
// `$$x` is the metadata stream of x, whatever x is (`$$$settings` belongs to `$settings`). Of a
// metadata stream only the last event is ever shown, and it has no metadata itself. If x is
// tombstoned, so is `$$x`.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "eventlog/event.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::eventlog {

constexpr const char* metadata_type = "$metadata";
constexpr const char* tombstone_type = "$streamDeleted";
constexpr const char* link_type = "$>";
constexpr const char* stream_reference_type = "$@"; // data: a stream's name

// `$tb` of a soft-deleted stream, which is also the number of a tombstone.
constexpr std::uint64_t truncated_for_ever = tombstone_revision.value;

// Roles per right; empty: not said (the defaults hold).
struct stream_access {
    using roles = std::optional<std::vector<std::string>>;
    roles read;           // $r
    roles write;          // $w
    roles remove;         // $d
    roles read_metadata;  // $mr
    roles write_metadata; // $mw
    friend bool operator==(const stream_access&, const stream_access&) = default;
};

struct stream_metadata {
    std::optional<std::uint64_t> max_count;            // $maxCount, > 0: only the last so many
    std::optional<std::chrono::seconds> max_age;       // $maxAge, > 0: nothing older
    std::optional<std::uint64_t> truncate_before;      // $tb: the first revision that may be shown
    std::optional<std::chrono::seconds> cache_control; // $cacheControl, > 0
    bool temporary = false;                            // $tmp
    stream_access access;                              // $acl

    [[nodiscard]] bool soft_deleted() const { return truncate_before == truncated_for_ever; }
    // Whether anything is hidden.
    [[nodiscard]] bool truncates() const { return max_count || max_age || truncate_before; }
    friend bool operator==(const stream_metadata&, const stream_metadata&) = default;
};

// Lenient: a text that is no JSON object counts as empty, a member of the wrong type or out of
// range as absent. Other members are the user's own.
[[nodiscard]] stream_metadata parse_stream_metadata(std::string_view json);
// The same for the event that holds it; not JSON counts as empty.
[[nodiscard]] stream_metadata metadata_of(const recorded_event& event);

// What every metadata stream has.
[[nodiscard]] stream_metadata metadata_stream_metadata();

// The first revision of a stream whose last one is `last` that `$maxCount` and `$tb` let be shown;
// beyond `last` if none. `$maxAge` hides more (see too_old); because time never decreases along the
// log, what it hides is a beginning of the stream too.
[[nodiscard]] base::revision lowest_readable(const stream_metadata& of, base::revision last);
// Whether `$maxAge` hides an event.
[[nodiscard]] bool too_old(const stream_metadata& of, base::utc_time created, base::utc_time now);

[[nodiscard]] constexpr bool is_metadata_stream(std::string_view stream) {
    return stream.starts_with("$$");
}
[[nodiscard]] std::string metadata_stream_of(std::string_view stream); // "$$" + stream
// The stream that a metadata stream describes. Precondition: is_metadata_stream(stream).
[[nodiscard]] std::string_view described_stream(std::string_view stream);

// Data of the event that soft-deletes a stream: exactly `{"$tb":9223372036854775807}`.
[[nodiscard]] std::string soft_deleting_metadata();
// `json` with `$tb` replaced by `from`, the rest kept: data of the event that undeletes a stream.
[[nodiscard]] std::string undeleting_metadata(std::string_view json, base::revision from);

} // namespace immortal::eventlog
