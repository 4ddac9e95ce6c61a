#include "readmodel/rows.hpp"

#include <algorithm>

namespace immortal::readmodel {

std::optional<board> parse_board(std::string_view name) noexcept {
    for (const board which : {board::cultivation, board::level, board::wealth}) {
        if (name_of(which) == name) {
            return which;
        }
    }
    return std::nullopt;
}

std::string_view name_of(board which) noexcept {
    switch (which) {
    case board::cultivation:
        return "cultivation";
    case board::level:
        return "level";
    case board::wealth:
        return "wealth";
    }
    return "";
}

statistics_view make_statistics(const player_view& player, const statistics_totals& totals) {
    statistics_view s;
    s.id = player.id;
    s.name = player.name;
    s.level = player.level;
    s.realm = player.realm;
    s.experience = player.experience;
    s.gold = player.gold;
    s.spirit_stones = player.spirit_stones;
    s.total_cultivation_sessions = totals.cultivation_sessions;
    s.total_cultivation_time_hours = static_cast<double>(totals.cultivation_seconds) / 3600;
    s.total_experience_from_cultivation = totals.experience_from_cultivation;
    s.breakthroughs_achieved = totals.breakthroughs;
    s.total_combats = totals.combats;
    s.combat_wins = totals.combat_wins;
    s.combat_losses = totals.combat_losses;
    s.combat_win_rate = totals.combats > 0 ? static_cast<double>(totals.combat_wins) /
                                                 static_cast<double>(totals.combats)
                                           : 0;
    s.total_experience_from_combat = totals.experience_from_combat;
    s.total_items = totals.items;
    s.equipped_items = totals.equipped_items;
    s.legendary_items = totals.legendary_items;
    s.total_techniques = totals.techniques;
    s.master_level_techniques = totals.master_techniques;
    s.created_at = player.created_at;
    s.last_active_at = player.last_active_at;
    s.position = std::max(player.position, totals.position);
    return s;
}

} // namespace immortal::readmodel
