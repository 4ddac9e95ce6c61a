// Players and sessions between the store and memory: load, catch up, compare heads, snapshots.
//
// Who calls with a stream holds its lock. What is loaded is never ahead of the store: only durable
// events are folded.
#pragma once

#include "base/metrics.hpp"
#include "commands/hot_cache.hpp"
#include "eventstore/event_store.hpp"
#include "game/cultivation.hpp"
#include "game/home.hpp"
#include "game/player.hpp"
#include "runtime/task_group.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace immortal::commands {

using boost::asio::awaitable;

template <typename State>
class aggregates {
public:
    using pointer = typename hot_cache<State>::pointer;

    struct limits {
        std::size_t count_max;
        std::size_t bytes_max;
        std::uint64_t snapshot_every; // 0: none are written
        std::size_t snapshots_max;
    };
    // Both outlive it.
    aggregates(eventstore::event_store& store, runtime::task_group& background, limits bounds)
        : store_(store), background_(background), bounds_(bounds),
          hot_(bounds.count_max, bounds.bytes_max) {}

    struct loaded {
        pointer home;       // never null; without revision if the stream has no events
        bool fresh = false; // read from the store just now
    };
    // From memory, else from snapshot and store. Errors: those of read_stream; corrupt.
    awaitable<base::result<loaded>> load(std::string stream);

    // Folds what the store has beyond `home`. True: there was something. Errors as load(); after
    // one the aggregate is no longer in memory.
    awaitable<base::result<bool>> catch_up(std::string stream, pointer home);

    // The store's head is not the revision of `home`.
    awaitable<base::result<bool>> moved(std::string stream, base::revision known);

    // After an append: keeps the aggregate in memory and writes a snapshot when one is due.
    // `before`: its revision before.
    void keep(const std::string& stream, const pointer& home, std::optional<base::revision> before);
    void drop(const std::string& stream) { hot_.drop(stream); }

    [[nodiscard]] std::size_t size() const { return hot_.size(); }

private:
    awaitable<base::status> read_tail(std::string stream, pointer home,
                                      std::optional<eventstore::stream_page> first);
    awaitable<pointer> from_snapshot(std::string stream);

    eventstore::event_store& store_;
    runtime::task_group& background_;
    const limits bounds_;
    hot_cache<State> hot_;
    std::shared_ptr<std::atomic<std::size_t>> snapshots_ =
        std::make_shared<std::atomic<std::size_t>>(0);
};

extern template class aggregates<game::player::state>;
extern template class aggregates<game::cultivation::state>;

} // namespace immortal::commands
