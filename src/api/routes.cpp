#include "api/routes.hpp"

namespace immortal::api {

std::vector<route> make_routes(const services& uses) {
    std::vector<route> table;
    add_account_routes(table, uses);
    add_player_routes(table, uses);
    add_cultivation_routes(table, uses);
    add_leaderboard_routes(table, uses);
    add_catalog_routes(table, uses);
    add_operations_routes(table, uses);
    return table;
}

} // namespace immortal::api
