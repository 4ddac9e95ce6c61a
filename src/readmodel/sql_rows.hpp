// From result rows to the structures of rows.hpp. The column lists of the statements in queries.cpp
// and check.cpp are the ones named here, in this order.
#pragma once

#include "postgres/database.hpp"
#include "readmodel/rows.hpp"

#include <cstddef>

namespace immortal::readmodel {

// clang-format off
#define IMMORTAL_PLAYER_COLUMNS                                                                    \
    "p.id, p.user_id, p.name, p.level, p.realm, p.experience, p.energy, p.max_energy, p.status, "  \
    "p.strength, p.agility, p.intelligence, p.constitution, p.gold, p.spirit_stones, "             \
    "p.current_location, p.coordinates[0], p.coordinates[1], p.cultivation_session, "              \
    "p.created_at, p.updated_at, p.last_active_at, p.revision, p.position"
#define IMMORTAL_CULTIVATION_COLUMNS                                                               \
    "r.id, r.player_id, r.technique_id, r.technique_name, r.start_time, r.end_time, "              \
    "r.duration_seconds, r.progress, r.experience_gained, r.energy_consumed, "                     \
    "r.breakthrough_achieved, to_jsonb(r.insights_gained), r.status, r.end_reason, r.location, "   \
    "r.weather_bonus, r.time_bonus, r.created_at, r.updated_at, r.revision, r.position"
#define IMMORTAL_TOTALS_COLUMNS                                                                    \
    "t.total_cultivation_sessions, t.total_cultivation_seconds, "                                  \
    "t.total_experience_from_cultivation, t.breakthroughs_achieved, t.total_combats, "             \
    "t.combat_wins, t.combat_losses, t.total_experience_from_combat, t.total_items, "              \
    "t.equipped_items, t.legendary_items, t.total_techniques, t.master_level_techniques, "         \
    "t.cultivation_position, t.position"
// FROM players p LEFT JOIN player_statistics_totals t ON t.player_id = p.id: what the view
// player_statistics is made of.
#define IMMORTAL_STATISTICS_COLUMNS IMMORTAL_PLAYER_COLUMNS ", " IMMORTAL_TOTALS_COLUMNS
#define IMMORTAL_TECHNIQUE_COLUMNS                                                                 \
    "k.technique_id, COALESCE(c.name, k.technique_id), k.proficiency_level, "                      \
    "k.proficiency_experience, k.max_proficiency_level, k.learned_at, k.learned_from, "            \
    "k.times_used, k.last_used_at, k.position"
// clang-format on

// `first`: the column where the list begins.
[[nodiscard]] player_view read_player(const postgres::rows& rows, std::size_t row,
                                      std::size_t first);
[[nodiscard]] cultivation_view read_cultivation(const postgres::rows& rows, std::size_t row,
                                                std::size_t first);
constexpr std::size_t totals_columns = 15; // of IMMORTAL_TOTALS_COLUMNS
// Of a player; NULLs where there is no row of theirs.
[[nodiscard]] statistics_totals read_totals(const base::uuid& player, const postgres::rows& rows,
                                            std::size_t row, std::size_t first);
[[nodiscard]] statistics_view read_statistics(const postgres::rows& rows, std::size_t row,
                                              std::size_t first);
[[nodiscard]] technique_view read_technique(const postgres::rows& rows, std::size_t row,
                                            std::size_t first);

} // namespace immortal::readmodel
