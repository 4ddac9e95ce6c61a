// A player: stream id, events, state and evolve, decide, queries. Pure.
#pragma once

#include "game/context.hpp"
#include "game/event_codec.hpp"
#include "game/player_events.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::game::player {

// --- stream id ---
constexpr std::string_view category = "player";
[[nodiscard]] std::string stream_of(const base::uuid& player); // "player-<id>"
// Empty if `stream` is no player's stream.
[[nodiscard]] std::optional<base::uuid> id_of_stream(std::string_view stream) noexcept;

// --- state and evolve ---
struct known_technique {
    std::string technique_id;
    std::int64_t proficiency_level = 1;
    std::int64_t proficiency_experience = 0;
    std::int64_t max_proficiency_level = 10;
    base::utc_time learned_at;
    std::string learned_from;
    std::int64_t times_used = 0;
    std::optional<base::utc_time> last_used_at;
    friend bool operator==(const known_technique&, const known_technique&) = default;
};
BOOST_DESCRIBE_STRUCT(known_technique, (),
                      (technique_id, proficiency_level, proficiency_experience,
                       max_proficiency_level, learned_at, learned_from, times_used, last_used_at))

struct state {
    bool exists = false; // everything below is meant only if it does
    bool erased = false;
    base::uuid id;
    base::uuid user_id;
    std::string name;
    std::int32_t level = 1;
    std::string realm;
    std::int64_t experience = 0;
    std::int64_t energy = 0;
    attributes attributes_now; // max_energy is in here
    player_status status = player_status::idle;
    std::int64_t gold = 0;
    std::int64_t spirit_stones = 0;
    std::string current_location;
    std::optional<game::coordinates> coordinates;
    std::optional<base::uuid> cultivation_session; // the running one
    std::int64_t breakthrough_failures = 0;        // in a row
    base::utc_time energy_since;                   // regeneration is accounted for up to here
    std::optional<base::utc_time> last_rest_at;
    base::utc_time created_at;
    base::utc_time updated_at;               // of the last event
    base::utc_time last_active_at;           // of the last event of the player's own doing
    std::vector<known_technique> techniques; // in the order they were learned
    friend bool operator==(const state&, const state&) = default;
};
BOOST_DESCRIBE_STRUCT(state, (),
                      (exists, erased, id, user_id, name, level, realm, experience, energy,
                       attributes_now, status, gold, spirit_stones, current_location, coordinates,
                       cultivation_session, breakthrough_failures, energy_since, last_rest_at,
                       created_at, updated_at, last_active_at, techniques))

// Total: any event of a legal history is taken as it is, without catalogue or rules.
void evolve(state& on, const event& what);
// The same for a stored event. false: a type unknown to this version, nothing changed. Errors:
// corrupt.
[[nodiscard]] base::result<bool> evolve(state& on, std::string_view type, std::string_view data);

// --- decide ---
// Each gives the events to append (never none) or the rule that says no. `now` counts as at least
// `updated_at`, so time never runs back for a player. All record the regeneration of energy that is
// due.
using events = std::vector<event>;

struct new_player {
    base::uuid player_id;
    base::uuid user_id;
    std::string name; // checked by the caller: NFKC, visible characters only
};
// Codes: player_exists.
[[nodiscard]] decided<events> create(const state& of, const new_player& as, const context& with);
// Codes: unknown_technique, busy, already_learned, not_learnable, level_too_low, realm_too_low,
// prerequisite_missing.
[[nodiscard]] decided<events> learn_technique(const state& of, std::string_view technique_id,
                                              const context& with);
// Codes: busy, energy_full, rest_too_soon.
[[nodiscard]] decided<events> rest(const state& of, const context& with);
// Codes: unknown_location, busy, already_there, level_too_low.
[[nodiscard]] decided<events> move(const state& of, std::string_view location_id,
                                   const context& with);

// The person's name is forgotten; the rest stays. Codes: player_erased.
[[nodiscard]] decided<events> erase(const state& of, const context& with);

// --- parts of decisions that other aggregates make together with a player ---
// Applies each event to a copy of the state as it is added, so later steps see earlier ones.
class builder {
public:
    builder(const state& from, const context& with); // begins with the regeneration due
    [[nodiscard]] const state& now() const { return state_; }
    [[nodiscard]] base::utc_time time() const { return time_; }
    void add(event what);
    void change_energy(std::int64_t to, energy_reason why);
    void change_status(player_status to, std::optional<base::uuid> session);
    // Without the player's doing: `last_active_at` stays what it was.
    void become_idle_unattended(base::utc_time last_active_at);
    // Adds experience and the level-ups inside the realm that follow. Nothing for amount 0.
    void grant_experience(std::int64_t amount, experience_source source, std::string source_id);
    // Into the next realm. Precondition: ready_for_breakthrough.
    void break_through(std::int64_t experience_granted);
    [[nodiscard]] events take() && { return std::move(events_); }

private:
    state state_;
    const context& with_;
    base::utc_time time_;
    events events_;
};

// --- queries ---
[[nodiscard]] const known_technique* find_technique(const state& of, std::string_view id) noexcept;
// At the realm's last level, with the experience of the next one, and there is a next realm.
[[nodiscard]] bool ready_for_breakthrough(const state& of, const catalog& data) noexcept;
[[nodiscard]] std::int64_t breakthrough_chance(const state& of, const context& with) noexcept;
// The energy at `at`, regeneration included.
[[nodiscard]] std::int64_t energy_at(const state& of, base::utc_time at,
                                     const rules& numbers) noexcept;

} // namespace immortal::game::player
