#include "commands/reservation.hpp"

#include "base/json.hpp"

namespace immortal::commands {

namespace {

struct holder {
    base::uuid player_id;
};
BOOST_DESCRIBE_STRUCT(holder, (), (player_id))

} // namespace

boost::asio::awaitable<base::result<reservation>> read_reservation(eventstore::event_store& store,
                                                                   std::string stream) {
    constexpr base::revision end{std::numeric_limits<std::int64_t>::max()};
    const auto page =
        co_await store.read_stream(std::move(stream), end, eventstore::direction::backwards, 1);
    if (!page) {
        co_return base::fail(page.error());
    }
    if (page->events.empty()) {
        co_return reservation{};
    }
    const auto& last = page->events.front();
    if (last.type == name_released_type) {
        co_return reservation{std::nullopt, last.revision};
    }
    const auto parsed = base::parse_json(last.data);
    const auto held = parsed ? base::decode<holder>(*parsed) : base::fail(parsed.error());
    if (!held) {
        co_return base::fail(base::errc::corrupt, "The reservation of a name cannot be read.");
    }
    co_return reservation{held->player_id, last.revision};
}

} // namespace immortal::commands
