// The route table, one function per subject.
#pragma once

#include "api/dispatcher.hpp"
#include "api/route.hpp"
#include "api/services.hpp"

#include <vector>

namespace immortal::api {

// All routes but the dispatcher's own. `uses` outlives them.
[[nodiscard]] std::vector<route> make_routes(const services& uses);

void add_account_routes(std::vector<route>& table, const services& uses);
void add_player_routes(std::vector<route>& table, const services& uses);
void add_cultivation_routes(std::vector<route>& table, const services& uses);
void add_leaderboard_routes(std::vector<route>& table, const services& uses);
void add_catalog_routes(std::vector<route>& table, const services& uses);
void add_operations_routes(std::vector<route>& table, const services& uses);

// The accounts' authentication in the dispatcher's terms.
[[nodiscard]] authenticator make_authenticator(const services& uses);

} // namespace immortal::api
