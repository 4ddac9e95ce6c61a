// Events into prepared batches: routing, folding, parking. No SQL; the only I/O is loading the
// stream of a state that is not in memory.
#pragma once

#include "base/result.hpp"
#include "eventstore/event_store.hpp"
#include "readmodel/batch.hpp"
#include "readmodel/fold.hpp"
#include "readmodel/fold_table.hpp"
#include "readmodel/parking.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace immortal::readmodel {

// One coroutine at a time. Store and catalogue outlive it.
class batch_builder {
public:
    batch_builder(eventstore::event_store& store, const game::catalog& catalog,
                  std::vector<lease> leases, parking parked, std::size_t folds_max);

    // Takes the next events of the log, in order; cuts them at batch boundaries (the rest waits for
    // the next call). Errors: those of the store; then the builder is spent.
    awaitable<base::status> add(std::vector<recorded_event> events);

    // Events taken since the last take(), those that change nothing included.
    [[nodiscard]] std::size_t pending() const noexcept { return pending_; }
    [[nodiscard]] std::optional<base::position> reached() const noexcept { return reached_; }
    // Ends the batch where the last whole append ended. Precondition: reached().
    [[nodiscard]] prepared_batch take();

private:
    using kind = event_target::kind;
    using gains = std::unordered_map<base::uuid, statistics_change>;
    struct touched {
        event_target target;
        std::string stream;
        std::optional<base::revision> before; // the fold's revision before the append
    };

    awaitable<base::status> add_append(std::span<const recorded_event> events);
    awaitable<base::status> add_event(const recorded_event& event, std::vector<touched>& changed);
    awaitable<base::status> park(const recorded_event& event, base::uuid owner, std::string error,
                                 const std::vector<touched>& changed);
    template <typename Fold>
    awaitable<base::status> apply(fold_table<Fold>& table, const recorded_event& event,
                                  event_target target, std::vector<touched>& changed);
    template <typename Fold>
    awaitable<base::result<typename fold_table<Fold>::entry*>>
    find(fold_table<Fold>& table, const recorded_event& event, event_target target);
    template <typename Fold>
    awaitable<base::status> restore(fold_table<Fold>& table, touched what);
    template <typename Fold>
    awaitable<base::result<Fold>> load(std::string stream, base::uuid owner,
                                       std::optional<base::revision> last);
    [[nodiscard]] bool wanted(const event_target& target, base::position at) const;
    void take_players(prepared_batch& out, gains& gain);
    void take_records(prepared_batch& out, gains& gain);

    eventstore::event_store& store_;
    const game::catalog& catalog_;
    std::array<bool, partition_count> leased_{};
    std::array<std::optional<base::position>, partition_count> done_{};
    parking parked_;
    std::size_t folds_max_;
    fold_table<player_fold> players_;
    fold_table<cultivation_fold> sessions_;
    std::vector<recorded_event> rest_; // of an append that has not ended yet
    std::vector<parked_owner> newly_parked_;
    std::size_t pending_ = 0;
    std::optional<base::position> reached_;
    base::utc_time newest_created_{};
};

} // namespace immortal::readmodel
