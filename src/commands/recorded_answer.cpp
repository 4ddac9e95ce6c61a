#include "commands/recorded_answer.hpp"

namespace immortal::commands {

namespace {
constexpr std::size_t creation_events_max = 16; // of one command on the stream it creates
} // namespace

awaitable<base::result<std::optional<game::command_record>>>
find_creation(eventstore::event_store& store, std::string stream, base::uuid command) {
    const auto page = co_await store.read_stream(
        std::move(stream), {0}, eventstore::direction::forwards, creation_events_max);
    if (!page) {
        co_return base::fail(page.error());
    }
    game::command_memory first;
    for (const auto& event : page->events) {
        first.evolve(event.metadata, event.revision, event.position);
    }
    const game::command_record* found = first.find(command);
    co_return found == nullptr ? std::nullopt : std::optional(*found);
}

awaitable<base::result<outcome>> read_answer(eventstore::event_store& store, std::string stream,
                                             game::command_record of) {
    const auto page = co_await store.read_stream(std::move(stream), of.revision,
                                                 eventstore::direction::forwards, 1);
    if (!page) {
        co_return base::fail(page.error());
    }
    const auto told = page->events.empty() ? game::event_metadata{}
                                           : game::parse_metadata(page->events.front().metadata);
    auto body = base::parse_json(told.outcome);
    if (told.command_id != of.command_id || !body || !body->is_object()) {
        co_return base::fail(base::errc::corrupt, "The recorded answer cannot be read.");
    }
    co_return outcome{std::move(body->get_object()), of.position, true};
}

} // namespace immortal::commands
