// How the metadata of an event travels to a remote store and comes back. Pure.
//
// A remote store's atomic append takes metadata as named values that are texts. A JSON object
// becomes one property for each member: texts as they are, everything else as JSON text, with the
// names of those in one more property. Anything that is no JSON object travels whole in a property
// of its own. And because a remote store does not tell which events were appended together, each
// event of an append of several carries its place in it.
#pragma once

#include "base/uuid.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace immortal::eventstore {

// An event's place in its atomic append.
struct batch_place {
    std::uint32_t index = 0; // in the order in which the append was asked for
    std::uint32_t count = 1;
    base::uuid batch = {}; // id of the append's first event

    [[nodiscard]] bool last() const { return index + 1 == count; }
    friend bool operator==(const batch_place&, const batch_place&) = default;
};

using remote_properties = std::vector<std::pair<std::string, std::string>>;

// For the atomic append over several streams.
[[nodiscard]] remote_properties to_properties(std::string_view metadata, const batch_place& place);

// For appends to one stream, which take bytes: unchanged when the append has one event, or when
// the metadata is neither empty nor a JSON object (its place is then not told).
[[nodiscard]] std::string to_bytes(std::string_view metadata, const batch_place& place);

struct remote_metadata {
    std::string metadata;             // as it was given; members of an object in any order
    std::optional<batch_place> place; // empty: appended alone, or by someone else
};
// From what a read gives, whichever way it was written.
[[nodiscard]] remote_metadata from_remote(std::string bytes);

} // namespace immortal::eventstore
