#include "cache/service.hpp"
#include "readmodel/check_run.hpp"
#include "runtime/deadline.hpp"

#include <array>
#include <optional>

namespace immortal::readmodel {

namespace {

using base::json::object;

constexpr std::array boards{board::cultivation, board::level, board::wealth};
constexpr std::uint32_t page_rows = 1'000;

struct place {
    std::int64_t score = 0;
    base::position position;
};

// Where the player stands by the log; empty: not on the board.
std::optional<place> place_of(board which, const player_fold& fold, base::uuid player,
                              const statistics_change& gain) {
    if (which == board::cultivation) {
        return gain.experience > 0
                   ? std::optional(place{gain.experience, gain.cultivation_position})
                   : std::nullopt;
    }
    if (!fold.exists()) {
        return std::nullopt;
    }
    const player_row row = fold.row(player);
    return which == board::level ? place{row.view.level, row.level_position}
                                 : place{row.wealth, row.wealth_position};
}

object object_of(std::int64_t score, base::position at) {
    return {{"score", score}, {"position", static_cast<std::int64_t>(at.value)}};
}

awaitable<void> check_rank(run_state& run, cache::leaderboard& ranks, std::string where,
                           base::uuid player, std::optional<place> expected) {
    for (int attempt = 0;; ++attempt) {
        const auto found = co_await ranks.rank(player);
        if (!found) {
            co_return; // it is being rebuilt, or cannot be trusted now: nobody is served from it
        }
        const auto& row = found->row;
        if (row && (!expected || row->position > expected->position)) {
            co_return; // newer than the rows that are compared; strangers are looked for apart
        }
        const bool old = expected && (!row || row->position < expected->position);
        if (old && attempt < 2) {
            (void)co_await runtime::wait_for(std::chrono::milliseconds{100}); // on its way
            continue;
        }
        if (!row && !expected) {
            co_return;
        }
        ++run.report.board_entries;
        const object wanted = object_of(expected->score, expected->position);
        const auto actual =
            row ? std::optional(object_of(row->score, row->position)) : std::nullopt;
        run.compare(where, player.text(), &wanted, actual ? &*actual : nullptr);
        co_return;
    }
}

} // namespace

awaitable<void> check_ranks(run_state& run, base::uuid player, const player_fold& fold,
                            const statistics_change& gain) {
    for (const board which : boards) {
        if (cache::leaderboard* ranks = run.uses.shared->board(name_of(which))) {
            co_await check_rank(run, *ranks, "leaderboard " + std::string(name_of(which)), player,
                                place_of(which, fold, player, gain));
        }
    }
}

awaitable<base::status> check_ranked_strangers(run_state& run) {
    if (run.uses.shared == nullptr) {
        co_return base::status{};
    }
    for (const board which : boards) {
        cache::leaderboard* ranks = run.uses.shared->board(name_of(which));
        for (std::uint64_t offset = 0; ranks != nullptr; offset += page_rows) {
            const auto page = co_await ranks->top(page_rows, offset);
            if (!page || page->rows.empty()) {
                break;
            }
            for (const cache::board_row& row : page->rows) {
                auto done =
                    co_await check_stream_behind(run, "leaderboard " + std::string(name_of(which)),
                                                 row.player, "a player without a stream");
                if (!done) {
                    co_return done;
                }
            }
        }
    }
    co_return base::status{};
}

} // namespace immortal::readmodel
