#include "api/authorization.hpp"
#include "api/route_building.hpp"
#include "api/routes.hpp"

namespace immortal::api {
namespace {

using base::errc;
using base::fail;
using base::result;
using readmodel::board;

constexpr std::int64_t page_default = 50;
constexpr std::int64_t offset_max = 10'000'000;

result<board> board_of(const call& c) {
    const auto which = readmodel::parse_board(c.names[0]);
    if (!which) {
        return fail(errc::not_found, "There is no such leaderboard.");
    }
    return *which;
}

// Lines in our own serialisation of rank_views: see may_see_all() on why this cannot be misled.
std::int64_t count_lines(std::string_view payload) {
    constexpr std::string_view mark = "{\"rank\":";
    std::int64_t count = 0;
    for (auto at = payload.find(mark); at != std::string_view::npos;
         at = payload.find(mark, at + mark.size())) {
        ++count;
    }
    return count;
}

awaitable<result<answer>> page(const services& uses, call& c) {
    const auto which = board_of(c);
    const auto limit = c.integer("limit", page_default, 1, readmodel::page_size_max);
    const auto offset = c.integer("offset", 0, 0, offset_max);
    if (!which || !limit || !offset) {
        co_return fail(!which ? which.error() : !limit ? limit.error() : offset.error());
    }
    auto found = co_await uses.views.leaderboard(*which, *limit, *offset, c.after);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    const bool full = count_lines(found->payload) >= *limit;
    const std::string next = full ? std::to_string(*offset + *limit) : "null";
    answer out;
    out.body = R"({"board":")" + c.names[0] + R"(","items":)" +
               (found->absent ? "[]" : found->payload) + R"(,"next":)" + next + "}";
    out.position = found->position;
    out.as_of = found->as_of;
    co_return out;
}

awaitable<result<answer>> rank(const services& uses, call& c) {
    const auto which = board_of(c);
    if (!which) {
        co_return fail(which.error());
    }
    auto found = co_await uses.views.rank(*which, c.ids[0], c.after);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    answer out;
    out.position = found->position;
    out.as_of = found->as_of;
    if (!found->absent) {
        out.body = std::move(found->payload);
        co_return out;
    }
    // A player without a score has no rank; a player that does not exist is not found.
    const auto player = co_await find_player(uses, c.ids[0], c.after);
    if (!player) {
        co_return fail(player.error());
    }
    out.body = R"({"rank":null,"id":")" + c.ids[0].text() + R"("})";
    co_return out;
}

} // namespace

void add_leaderboard_routes(std::vector<route>& table, const services& uses) {
    route& board_page = table.emplace_back();
    board_page.pattern = "/v1/leaderboards/{board:name}";
    board_page.summary = "A leaderboard: cultivation, level or wealth";
    board_page.query = {after_rule(),
                        {"limit", query_rule::kind::integer, "1 to 200, default 50"},
                        {"offset", query_rule::kind::integer, "`next` of the page before"}};
    board_page.answer_schema = list_schema(schema_of<readmodel::rank_view>());
    board_page.handle = bind(uses, page);

    route& one = table.emplace_back();
    one.pattern = "/v1/leaderboards/{board:name}/players/{playerId:uuid}";
    one.summary = "A character's line on a leaderboard; `rank` is null without a score";
    one.query = {after_rule()};
    one.answer_schema = schema_of<readmodel::rank_view>();
    one.handle = bind(uses, rank);
}

} // namespace immortal::api
