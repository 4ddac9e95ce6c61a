// Links: events of type `$>` whose data `<revision>@<stream>` names another event. Made by views,
// or written by users; followed for readers who ask for it.
#pragma once

#include "eventlog/system_view.hpp"
#include "eventstore/event_store.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::eventstore {

struct link_target {
    base::revision revision;
    std::string_view stream; // a part of the link's data
};
// Empty: the data names no event. The stream's name begins after the first '@'.
[[nodiscard]] std::optional<link_target> parse_link(std::string_view data);

// The event that stands in the view for `target`, under `number`: a link, or in `$category-x` an
// event of type `$@` whose data is the stream's name. It has position and time of its target, an id
// derived from view and number, and always the same content.
[[nodiscard]] recorded_event make_view_event(std::string_view view_stream, std::uint64_t number,
                                             recorded_event target);

// Where links are followed to.
class link_source {
public:
    virtual ~link_source() = default;
    // The events from a revision on that are shown, fewer at the end of the stream. Errors:
    // deleted, unavailable, corrupt.
    virtual base::result<std::vector<recorded_event>>
    read(std::string_view stream, base::revision from, std::size_t count_max) = 0;
    // Whether a read of its stream would show each of these.
    virtual base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events) = 0;
};

// As event_store::resolve_links.
[[nodiscard]] base::result<std::vector<resolved_event>>
follow_links(std::vector<recorded_event> events, link_source& source);

} // namespace immortal::eventstore
