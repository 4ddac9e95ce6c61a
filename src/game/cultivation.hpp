// A session of cultivation: stream id, events, state and evolve, decide, queries. Pure. Its
// commands change the player too: both aggregates are decided together and appended together.
#pragma once

#include "game/context.hpp"
#include "game/cultivation_events.hpp"
#include "game/event_codec.hpp"
#include "game/player.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::game::cultivation {

// --- stream id ---
constexpr std::string_view category = "cultivation";
[[nodiscard]] std::string stream_of(const base::uuid& session); // "cultivation-<id>"
[[nodiscard]] std::optional<base::uuid> id_of_stream(std::string_view stream) noexcept;

// --- state and evolve ---
struct state {
    bool exists = false; // everything below is meant only if it does
    base::uuid session_id;
    base::uuid player_id;
    std::string technique_id;
    std::string technique_name;
    base::utc_time start_time;
    std::int64_t expected_duration = 0; // game seconds
    std::int64_t expected_experience = 0;
    double time_scale = 1;
    std::optional<base::utc_time> end_time;
    std::optional<std::int64_t> duration; // game seconds, when ended
    std::int64_t progress = 0;            // ten-thousandths
    std::int64_t experience_gained = 0;
    std::int64_t energy_consumed = 0;
    bool breakthrough_achieved = false;
    std::vector<std::string> insights_gained;
    session_status status = session_status::active;
    std::optional<std::string> end_reason;
    std::optional<std::string> location;
    std::int64_t location_bonus_percent = 100;
    std::int64_t weather_bonus_percent = 100;
    std::int64_t time_bonus_percent = 100;
    base::utc_time ready_at;
    base::utc_time unattended_at; // when it is completed without the player
    base::utc_time updated_at;    // of the last event
    friend bool operator==(const state&, const state&) = default;
};
BOOST_DESCRIBE_STRUCT(state, (),
                      (exists, session_id, player_id, technique_id, technique_name, start_time,
                       expected_duration, expected_experience, time_scale, end_time, duration,
                       progress, experience_gained, energy_consumed, breakthrough_achieved,
                       insights_gained, status, end_reason, location, location_bonus_percent,
                       weather_bonus_percent, time_bonus_percent, ready_at, unattended_at,
                       updated_at))

void evolve(state& on, const event& what);
// false: a type unknown to this version, nothing changed. Errors: corrupt.
[[nodiscard]] base::result<bool> evolve(state& on, std::string_view type, std::string_view data);

// --- decide ---
// To be appended together; neither is empty.
struct events {
    std::vector<event> session;
    player::events player;
};

struct new_session {
    base::uuid session_id;
    std::string technique_id;
    std::optional<std::string> location; // empty: where the player is
};
// Codes: busy, unknown_technique, not_learned, not_cultivable, unknown_location, not_there,
// not_enough_energy, level_too_low.
[[nodiscard]] decided<events> start(const state& of, const player::state& by, const new_session& as,
                                    const context& with);
// Codes of the three: session_ended. Codes of progress: no_progress (nothing gained since).
// Codes of complete: not_finished.
[[nodiscard]] decided<events> progress(const state& of, const player::state& by,
                                       const context& with);
[[nodiscard]] decided<events> complete(const state& of, const player::state& by,
                                       const context& with);
[[nodiscard]] decided<events> interrupt(const state& of, const player::state& by,
                                        const context& with);
// What the system does when the player stays away: the whole experience and proficiency, but no
// insights and no breakthrough. Codes: session_ended, not_unattended (its time has not come).
[[nodiscard]] decided<events> complete_unattended(const state& of, const player::state& by,
                                                  const context& with);
// Interrupts the running session, and erases the player. Codes: session_ended.
[[nodiscard]] decided<events> erase_player(const state& of, const player::state& by,
                                           const context& with);

// --- queries ---
// Game seconds from the start to `at`, at most the expected duration.
[[nodiscard]] std::int64_t elapsed(const state& of, base::utc_time at) noexcept;

} // namespace immortal::game::cultivation
