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

    struct found {
        std::vector<recorded_event> events;
        base::revision next; // what is missing before it is not shown; the rest was not looked at
    };
    // The events of `count_max` numbers from a revision on that are shown, or of fewer: of as many
    // as one slice looks at, at least one. Errors: deleted, unavailable, corrupt.
    virtual base::result<found> read(std::string_view stream, base::revision from,
                                     std::size_t count_max) = 0;
    // Whether a read of its stream would show each of these.
    virtual base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events) = 0;
};

// Follows the links among some events, a slice at a time. Not thread-safe.
class link_follower {
public:
    // `source` outlives it.
    link_follower(std::vector<recorded_event> events, link_source& source);

    [[nodiscard]] bool finished() const { return next_ == events_.size(); }
    // Some of them: at most one read of the source. Errors: unavailable, corrupt.
    [[nodiscard]] base::status step();
    // When finished: as event_store::resolve_links.
    [[nodiscard]] std::vector<resolved_event> take() { return std::move(resolved_); }

private:
    [[nodiscard]] base::result<std::size_t> resolve(std::size_t place, std::size_t end);
    [[nodiscard]] base::result<std::size_t> read_run(std::size_t place, std::size_t run,
                                                     const link_target& target);
    [[nodiscard]] base::status take_targets();

    std::vector<recorded_event> events_;
    link_source& source_;
    std::vector<resolved_event> resolved_;
    std::vector<std::size_t> attached_; // links of this step that bring their target along
    std::size_t next_ = 0;
    bool has_read_ = false; // in this step
};

// All of them at once.
[[nodiscard]] base::result<std::vector<resolved_event>>
follow_links(std::vector<recorded_event> events, link_source& source);

} // namespace immortal::eventstore
