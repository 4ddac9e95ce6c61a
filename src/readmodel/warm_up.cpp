#include "readmodel/warm_up.hpp"

#include "cache/service.hpp"
#include "readmodel/board_source.hpp"

#include <utility>

namespace immortal::readmodel {

namespace {

awaitable<base::result<cache::entry>> as_entry(const std::string& text) {
    co_return cache::entry{{}, {}, false, text};
}

// What an earlier start with other settings put there must not stay.
awaitable<base::status> fill_game_config(cache::service& shared, const std::string& text) {
    (void)co_await shared.values().forget(cache::keys::game_config());
    const auto filled = co_await shared.values().get_or_load(
        cache::keys::game_config(), std::nullopt,
        [&text](std::optional<base::position>) { return as_entry(text); });
    co_return filled ? base::status{} : base::status(base::fail(filled.error()));
}

awaitable<base::status> fill_board(warm_up_parts uses, board which) {
    if (cache::leaderboard* ranks = uses.shared.board(name_of(which))) {
        const auto there = co_await ranks->top(1, 0);
        if (!there && there.error().code == base::errc::behind) {
            // The projector may be at it already; then the page below comes from SQL.
            (void)co_await ranks->rebuild([&database = uses.database, which] {
                return open_board_snapshot(database, which);
            });
        }
    }
    const auto page = co_await uses.served.leaderboard(which, warm_page_rows, 0);
    co_return page ? base::status{} : base::status(base::fail(page.error()));
}

} // namespace

void register_warm_up(warm_up_parts uses, std::string game_config) {
    cache::layered_cache& values = uses.shared.values();
    values.register_warm_up(cache::keys::game_config().text(),
                            [&shared = uses.shared, text = std::move(game_config)] {
                                return fill_game_config(shared, text);
                            });
    for (const board which : {board::cultivation, board::level, board::wealth}) {
        values.register_warm_up(cache::keys::leaderboard(name_of(which)).text(),
                                [uses, which] { return fill_board(uses, which); });
    }
}

} // namespace immortal::readmodel
