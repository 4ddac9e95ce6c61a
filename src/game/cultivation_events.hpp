// The events of `cultivation-<session id>`. Durations are whole seconds of game time; times are
// real.
#pragma once

#include "base/uuid.hpp"
#include "game/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace immortal::game::cultivation {

struct cultivation_started {
    static constexpr const char* type_name = "CultivationStarted";
    base::uuid session_id;
    base::uuid player_id;
    std::string technique_id;
    std::string technique_name; // Chinese, as in the catalogue then
    base::utc_time start_time;
    std::int64_t expected_duration = 0;
    std::int64_t expected_experience = 0; // of the whole session, bonuses included
    std::int64_t energy_cost = 0;
    std::optional<std::string> location;
    std::int64_t location_bonus_percent = 100;
    game::weather weather = weather::clear;
    std::int64_t weather_bonus_percent = 100;
    std::string hour; // the double hour, for example 子时
    std::int64_t time_bonus_percent = 100;
    double time_scale = 1;   // of the whole session
    base::utc_time ready_at; // when it can be completed
    // When it is completed without the player. Absent in the oldest events.
    std::optional<base::utc_time> unattended_at;
};
BOOST_DESCRIBE_STRUCT(cultivation_started, (),
                      (session_id, player_id, technique_id, technique_name, start_time,
                       expected_duration, expected_experience, energy_cost, location,
                       location_bonus_percent, weather, weather_bonus_percent, hour,
                       time_bonus_percent, time_scale, ready_at, unattended_at))

struct cultivation_progress {
    static constexpr const char* type_name = "CultivationProgress";
    base::uuid session_id;
    base::uuid player_id;
    base::utc_time start_time;
    double progress = 0;                      // 0 to 1, four decimals
    std::int64_t experience_gained = 0;       // since the last progress
    std::int64_t total_experience_gained = 0; // since the start
    std::string current_stage;                // entering, circulating, refining, consolidating
    std::int64_t elapsed_duration = 0;
    base::utc_time timestamp;
};
BOOST_DESCRIBE_STRUCT(cultivation_progress, (),
                      (session_id, player_id, start_time, progress, experience_gained,
                       total_experience_gained, current_stage, elapsed_duration, timestamp))

struct cultivation_completed {
    static constexpr const char* type_name = "CultivationCompleted";
    base::uuid session_id;
    base::uuid player_id;
    base::utc_time start_time;
    base::utc_time completed_at;
    std::int64_t total_duration = 0;
    std::int64_t total_experience_gained = 0;
    bool breakthrough_achieved = false;
    std::vector<std::string> new_insights; // Chinese
    std::optional<std::string> reason;     // unattended; absent: the player completed it
};
BOOST_DESCRIBE_STRUCT(cultivation_completed, (),
                      (session_id, player_id, start_time, completed_at, total_duration,
                       total_experience_gained, breakthrough_achieved, new_insights, reason))

struct cultivation_interrupted {
    static constexpr const char* type_name = "CultivationInterrupted";
    base::uuid session_id;
    base::uuid player_id;
    base::utc_time start_time;
    base::utc_time interrupted_at;
    double progress = 0;
    std::int64_t total_duration = 0;
    std::int64_t total_experience_gained = 0;
    std::string reason; // player, erased
};
BOOST_DESCRIBE_STRUCT(cultivation_interrupted, (),
                      (session_id, player_id, start_time, interrupted_at, progress, total_duration,
                       total_experience_gained, reason))

// The session reached its end but the breakthrough at the end of it failed.
struct cultivation_failed {
    static constexpr const char* type_name = "CultivationFailed";
    base::uuid session_id;
    base::uuid player_id;
    base::utc_time start_time;
    base::utc_time failed_at;
    std::int64_t total_duration = 0;
    std::int64_t total_experience_gained = 0;
    std::vector<std::string> new_insights;
    std::string reason; // breakthrough_failed
};
BOOST_DESCRIBE_STRUCT(cultivation_failed, (),
                      (session_id, player_id, start_time, failed_at, total_duration,
                       total_experience_gained, new_insights, reason))

using event = std::variant<cultivation_started, cultivation_progress, cultivation_completed,
                           cultivation_interrupted, cultivation_failed>;

} // namespace immortal::game::cultivation
