// What the event store alone answers: a player's history, and a player at a past moment.
#include "game/home.hpp"
#include "readmodel/fold.hpp"
#include "readmodel/queries.hpp"

#include <algorithm>
#include <utility>

namespace immortal::readmodel {

namespace {

using eventlog::direction;

constexpr std::size_t page_events = 512;

history_entry entry_of(base::uuid player, const recorded_event& event) {
    history_entry out;
    out.event_id = event.id;
    out.event_type = event.type;
    out.aggregate_id = player;
    out.aggregate_type = "player";
    out.event_version = event.revision.value;
    out.timestamp = event.created;
    const auto metadata = game::parse_metadata(event.metadata);
    if (metadata.at) {
        out.timestamp = *metadata.at;
    }
    if (!metadata.causation_id.empty()) {
        out.causation_id = metadata.causation_id;
    }
    if (!metadata.correlation_id.empty()) {
        out.correlation_id = metadata.correlation_id;
    }
    const auto data = base::parse_json(event.data);
    if (data && data->is_object()) {
        out.data = data->get_object();
    }
    out.position = event.position;
    return out;
}

// The last batch boundary at or before `at`; empty: there is none.
awaitable<base::result<std::optional<base::position>>>
boundary_before(eventstore::event_store& store, base::position at) {
    base::position from{at.value + 1};
    for (;;) {
        auto page = co_await store.read_all(from, direction::backwards, 64);
        if (!page) {
            co_return base::fail(std::move(page.error()));
        }
        for (const recorded_event& event : page->events) {
            if (event.last_in_batch) {
                co_return event.position;
            }
        }
        if (page->end) {
            co_return std::nullopt;
        }
        from = page->next;
    }
}

// The end of the append that `at` belongs to.
awaitable<base::result<recorded_event>> append_end(eventstore::event_store& store,
                                                   base::position at) {
    base::position from = at;
    for (;;) {
        auto page = co_await store.read_all(from, direction::forwards, 64);
        if (!page) {
            co_return base::fail(std::move(page.error()));
        }
        for (recorded_event& event : page->events) {
            if (event.last_in_batch) {
                co_return std::move(event);
            }
        }
        if (page->end) {
            co_return base::fail(base::errc::corrupt, "An append of the event log has no end.");
        }
        from = page->next;
    }
}

// Whether an event still belongs to the past that is asked for.
struct moment {
    std::optional<base::position> position;
    std::optional<base::utc_time> time;

    [[nodiscard]] bool holds(const recorded_event& event) const {
        return position ? event.position <= *position : event.created <= *time;
    }
};

awaitable<base::result<player_fold>> fold_until(eventstore::event_store& store, base::uuid player,
                                                moment until) {
    player_fold fold;
    base::revision from{0};
    for (;;) {
        auto page = co_await store.read_stream(game::player::stream_of(player), from,
                                               direction::forwards, page_events);
        if (!page) {
            co_return base::fail(std::move(page.error()));
        }
        for (const recorded_event& event : page->events) {
            if (!until.holds(event)) {
                co_return fold;
            }
            if (!fold.apply(event)) {
                fold.skip(event); // unreadable: the rest is shown as far as it can be
            }
        }
        if (page->end || page->events.empty()) {
            co_return fold;
        }
        from = base::revision{page->events.back().revision.value + 1};
    }
}

answer<std::optional<player_view>> answer_of(const player_fold& fold, base::uuid player,
                                             base::position as_of) {
    answer<std::optional<player_view>> out;
    out.as_of = as_of;
    if (fold.exists()) {
        out.value = fold.row(player).view;
        out.position = out.value->position;
    }
    return out;
}

} // namespace

awaitable<base::result<answer<std::optional<player_view>>>>
player_at(eventstore::event_store& store, base::uuid player, base::position at) {
    const auto boundary = co_await boundary_before(store, at);
    if (!boundary) {
        co_return base::fail(boundary.error());
    }
    if (!*boundary) {
        co_return answer<std::optional<player_view>>{};
    }
    const auto fold = co_await fold_until(store, player, {**boundary, std::nullopt});
    if (!fold) {
        co_return base::fail(fold.error());
    }
    co_return answer_of(*fold, player, **boundary);
}

awaitable<base::result<answer<std::optional<player_view>>>>
player_at_time(eventstore::event_store& store, base::uuid player, base::utc_time at) {
    const auto fold = co_await fold_until(store, player, {std::nullopt, at});
    if (!fold) {
        co_return base::fail(fold.error());
    }
    if (!fold->revision()) {
        co_return answer<std::optional<player_view>>{};
    }
    // The last event's append may reach beyond the moment: then it is left out as a whole.
    const auto end = co_await append_end(store, fold->position());
    if (!end) {
        co_return base::fail(end.error());
    }
    if (end->created <= at) {
        co_return answer_of(*fold, player, end->position);
    }
    co_return co_await player_at(store, player, base::position{fold->position().value - 1});
}

awaitable<base::result<answer<queries::history_page>>>
queries::history(base::uuid player, std::optional<base::revision> before, std::size_t limit) {
    if (limit < 1 || limit > static_cast<std::size_t>(page_size_max)) {
        co_return base::fail(base::errc::invalid_argument,
                             "`limit` must be from 1 to " + std::to_string(page_size_max) + ".",
                             "invalid_parameter", "limit");
    }
    const std::string stream = game::player::stream_of(player);
    answer<history_page> out;
    out.as_of = store_.head().value_or(base::position{});
    std::optional<base::revision> from;
    if (before) {
        if (before->value == 0) {
            co_return out;
        }
        from = base::revision{before->value - 1};
    } else {
        const auto head = co_await store_.stream_head(stream);
        if (!head) {
            co_return base::fail(head.error());
        }
        from = *head;
    }
    if (!from) {
        co_return out;
    }
    auto page = co_await store_.read_stream(stream, *from, direction::backwards, limit);
    if (!page) {
        co_return base::fail(std::move(page.error()));
    }
    for (const recorded_event& event : page->events) {
        out.value.items.push_back(entry_of(player, event));
        out.position = std::max(out.position, event.position);
    }
    if (!page->events.empty() && page->events.back().revision.value > 0) {
        out.value.next = page->events.back().revision;
    }
    co_return out;
}

} // namespace immortal::readmodel
