// The events of one stream, folded by the game's own `evolve`, with the positions that the rows
// carry. The one place where events become rows: the projector, the check and time travel use it.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "eventlog/event.hpp"
#include "game/cultivation.hpp"
#include "game/player.hpp"
#include "readmodel/batch.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace immortal::game {
class catalog;
}

namespace immortal::readmodel {

using eventlog::recorded_event;

// What an event belongs to: the stream's thing, and the owner of the rows that it changes.
struct event_target {
    enum class kind : std::uint8_t { player, cultivation };
    kind what = kind::player;
    base::uuid entity;
    base::uuid owner; // for an unreadable cultivation event: the session
};
// Empty: an event that changes no row of the read model (other categories, system events).
[[nodiscard]] std::optional<event_target> target_of(const recorded_event& event);

// Wealth on the leaderboard: gold, and spirit stones at this rate.
constexpr std::int64_t gold_per_spirit_stone = 100;
[[nodiscard]] std::int64_t wealth_of(std::int64_t gold, std::int64_t spirit_stones) noexcept;

class player_fold {
public:
    // Takes the stream's next event. Errors: corrupt (it cannot be read, or it is not the next);
    // then the fold is as before.
    [[nodiscard]] base::status apply(const recorded_event& event);
    // Passes over it (a skipped dead letter).
    void skip(const recorded_event& event) { revision_ = event.revision; }

    [[nodiscard]] bool exists() const noexcept { return state_.exists; }
    [[nodiscard]] std::optional<base::revision> revision() const noexcept { return revision_; }
    [[nodiscard]] base::position position() const noexcept { return position_; }

    // Precondition: exists().
    [[nodiscard]] player_row row(const base::uuid& id) const;
    // What the techniques add to the player's statistics.
    [[nodiscard]] statistics_change contribution() const;
    // Those changed after `since` (empty: all), by technique id.
    [[nodiscard]] std::vector<technique_view>
    techniques(const game::catalog& names, std::optional<base::position> since = {}) const;

private:
    game::player::state state_;
    std::optional<base::revision> revision_;
    base::position position_;
    base::position level_position_;
    base::position wealth_position_;
    std::vector<base::position> technique_positions_; // as state_.techniques
    std::int64_t masters_ = 0;                        // of proficiency level 10 and above
    base::position counts_position_;                  // when the number of either last changed
};

class cultivation_fold {
public:
    [[nodiscard]] base::status apply(const recorded_event& event);
    void skip(const recorded_event& event) { revision_ = event.revision; }

    [[nodiscard]] bool exists() const noexcept { return state_.exists; }
    [[nodiscard]] std::optional<base::revision> revision() const noexcept { return revision_; }
    [[nodiscard]] base::position position() const noexcept { return position_; }

    [[nodiscard]] cultivation_view view(const base::uuid& id) const; // precondition: exists()
    // What must happen to the session though nobody asks; empty: nothing. And where that began.
    [[nodiscard]] std::optional<due_command> due() const;
    [[nodiscard]] base::position due_since() const noexcept { return due_position_; }
    // What the session adds to its player's statistics (only when completed).
    [[nodiscard]] statistics_change contribution() const;

private:
    [[nodiscard]] bool running() const noexcept;

    game::cultivation::state state_;
    std::optional<base::revision> revision_;
    base::position position_;
    base::position completed_position_;
    base::position due_position_; // of the event that set or settled the deadline
    base::revision due_revision_;
};

} // namespace immortal::readmodel
