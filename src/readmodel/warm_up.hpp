// What the cache is filled with at the start, before somebody asks: `config:game` and the
// leaderboards.
#pragma once

#include "postgres/database.hpp"
#include "readmodel/views.hpp"

#include <cstdint>
#include <string>

namespace immortal::cache {
class service;
}

namespace immortal::readmodel {

constexpr std::int64_t warm_page_rows = 50; // the page that clients ask for first

struct warm_up_parts {
    cache::service& shared;
    views& served;
    postgres::database& database;
};

// Registers with the cache's warm_up(): "config:game", whose value becomes `game_config` (JSON: the
// rules and the catalogue in force), and "leaderboard:<board>" for each board: its sorted set, if
// Redis does not have it, and its first page. Call it before the cache is started; everything
// outlives the cache.
void register_warm_up(warm_up_parts uses, std::string game_config);

} // namespace immortal::readmodel
