#include "cache/leaderboard.hpp"
#include "cache/test_world.hpp"

#include <algorithm>

namespace immortal::cache {
namespace {

using namespace testing;

struct naive_board {
    void apply(const score_change& change) {
        auto& known = changes[change.player];
        if (known.position < change.position) {
            known = change;
        }
    }
    [[nodiscard]] std::vector<score_change> sorted() const {
        std::vector<score_change> out;
        for (const auto& [player, change] : changes) {
            if (change.score) {
                out.push_back(change);
            }
        }
        std::ranges::sort(out, [](const score_change& a, const score_change& b) {
            return std::tuple(-*a.score, a.position, a.player) <
                   std::tuple(-*b.score, b.position, b.player);
        });
        return out;
    }
    std::map<base::uuid, score_change> changes;
};

using page_of_rows = base::result<std::vector<score_change>>;
using opened = base::result<leaderboard::snapshot>;

awaitable<page_of_rows> next_page(std::shared_ptr<std::vector<score_change>> left) {
    const auto count = std::min<std::size_t>(left->size(), 100);
    std::vector<score_change> page(left->end() - static_cast<long>(count), left->end());
    left->resize(left->size() - count);
    co_return page;
}

// Rows as SQL would give them, 100 a page.
leaderboard::snapshot snapshot_of(std::vector<score_change> rows,
                                  std::vector<base::position> positions) {
    auto left = std::make_shared<std::vector<score_change>>(std::move(rows));
    return {std::move(positions), [left] { return next_page(left); }};
}

awaitable<opened> give(leaderboard::snapshot snapshot) {
    co_return snapshot;
}

struct board : ::testing::Test {
    board() : n(w, quick("")), wealth(n.client(), w.random, w.metrics, options()) {}
    static leaderboard::settings options(std::size_t lanes = 1,
                                         base::log_identity identity = some_log) {
        return {"wealth", identity, lanes, milliseconds(2000)};
    }
    base::status rebuild_from(leaderboard::snapshot from) {
        return w.engine.run(wealth.rebuild([from] { return give(from); }));
    }
    // The snapshot is opened, and then, before its rows arrive, an update.
    awaitable<opened> give_during(leaderboard::snapshot snapshot, score_batch batch) {
        static_cast<void>(co_await wealth.update(std::move(batch)));
        co_return snapshot;
    }
    awaitable<opened> give_after_another(leaderboard::snapshot other,
                                         leaderboard::snapshot snapshot) {
        static_cast<void>(co_await wealth.rebuild([other] { return give(other); }));
        co_return snapshot;
    }
    base::status rebuild(std::vector<score_change> rows, std::uint64_t position,
                         std::size_t lanes = 1) {
        return rebuild_from(snapshot_of(rows, std::vector(lanes, base::position{position})));
    }
    base::status update(std::uint64_t from, std::uint64_t to, std::vector<score_change> changes,
                        std::uint64_t lanes = 1) {
        return w.engine.run(wealth.update({lanes, {from}, {to}, std::move(changes)}));
    }
    base::result<board_page> top(std::uint32_t limit = 10, std::uint64_t offset = 0,
                                 std::optional<base::position> after = {}) {
        return w.engine.run(wealth.top(limit, offset, after));
    }
    score_change change(std::uint64_t position, std::optional<std::int64_t> score) {
        return {base::uuid::make_random(w.random), score, {position}};
    }
    void expect_equal(const naive_board& model) {
        const auto expected = model.sorted();
        const auto got = top(1'000);
        ASSERT_TRUE(got) << got.error().message;
        EXPECT_EQ(expected.size(), got->total);
        ASSERT_EQ(expected.size(), got->rows.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(expected[i].player, got->rows[i].player) << i;
            ASSERT_EQ(*expected[i].score, got->rows[i].score) << i;
            ASSERT_EQ(expected[i].position, got->rows[i].position) << i;
            ASSERT_EQ(i + 1, got->rows[i].rank);
        }
        for (std::size_t i = 0; i < expected.size(); i += 7) {
            const auto rank = w.engine.run(wealth.rank(expected[i].player));
            ASSERT_TRUE(rank && rank->row);
            ASSERT_EQ(i + 1, rank->row->rank);
            ASSERT_EQ(*expected[i].score, rank->row->score);
            ASSERT_EQ(expected[i].position, rank->row->position);
        }
    }
    static bool is_behind(const auto& outcome) {
        return !outcome && outcome.error().code == base::errc::behind;
    }
    world w;
    node n;
    leaderboard wealth;
};

TEST_F(board, order_equals_a_naive_sort_with_ties) {
    const std::uint64_t seed = w.random.next();
    SCOPED_TRACE(seed);
    base::seeded_random dice(seed);
    std::vector<base::uuid> players(150);
    for (auto& id : players) {
        id = base::uuid::make_random(dice);
    }
    naive_board model;
    ASSERT_TRUE(rebuild({}, 0));
    std::uint64_t at = 0;
    for (int batch = 0; batch < 30; ++batch) {
        std::vector<score_change> changes;
        for (int i = 0; i < 25; ++i) {
            // Few scores, so that many are equal; sometimes off the board; sometimes too late.
            const std::uint64_t p = at + 1 + dice.next() % 30;
            const auto score = static_cast<std::int64_t>(dice.next() % 6);
            changes.push_back({players[dice.next() % players.size()],
                               score == 5 ? std::nullopt : std::optional(score),
                               {p}});
        }
        for (const auto& c : changes) {
            model.apply(c);
        }
        ASSERT_TRUE(update(at, at + 30, changes));
        at += 30;
    }
    expect_equal(model);
    const auto page = top(10, 20);
    EXPECT_EQ(21u, page->rows.front().rank);
    EXPECT_EQ(model.sorted()[20].player, page->rows.front().player);
    EXPECT_EQ(900u, page->as_of.value);
}

TEST_F(board, equal_score_and_position_go_by_id) {
    naive_board model;
    std::vector<score_change> rows;
    for (int i = 0; i < 50; ++i) {
        rows.push_back(change(5, 10));
        model.apply(rows.back());
    }
    ASSERT_TRUE(rebuild(rows, 5));
    expect_equal(model);
}

TEST_F(board, the_greatest_scores_are_exact) {
    naive_board model;
    std::vector<score_change> rows;
    for (std::int64_t below = 0; below < 20; ++below) {
        rows.push_back(change(static_cast<std::uint64_t>(score_max) - 1, score_max - below));
        model.apply(rows.back());
    }
    ASSERT_TRUE(rebuild(rows, static_cast<std::uint64_t>(score_max)));
    expect_equal(model);
}

TEST_F(board, a_player_who_is_not_there_has_no_rank) {
    ASSERT_TRUE(rebuild({change(1, 10)}, 1));
    const auto rank = w.engine.run(wealth.rank(base::uuid::make_random(w.random)));
    ASSERT_TRUE(rank);
    EXPECT_FALSE(rank->row);
    EXPECT_EQ(1u, rank->total);
    EXPECT_TRUE(top(10, 5)->rows.empty());
}

TEST_F(board, without_a_board_sql_answers) {
    EXPECT_TRUE(is_behind(top()));
    EXPECT_TRUE(is_behind(update(0, 5, {change(3, 10)})));
    ASSERT_TRUE(rebuild({}, 5));
    EXPECT_TRUE(top());
}

TEST_F(board, a_missed_update_is_found_out) {
    ASSERT_TRUE(rebuild({change(5, 10)}, 5));
    EXPECT_TRUE(update(5, 10, {change(7, 3)}));
    EXPECT_TRUE(is_behind(update(20, 30, {change(25, 4)})));
    EXPECT_TRUE(is_behind(top()));
    ASSERT_TRUE(rebuild({change(5, 10), change(25, 4)}, 30));
    EXPECT_EQ(2u, top()->total);
}

TEST_F(board, a_repeated_update_changes_nothing) {
    ASSERT_TRUE(rebuild({}, 5));
    const auto c = change(7, 3);
    ASSERT_TRUE(update(5, 10, {c}));
    ASSERT_TRUE(update(5, 10, {c}));
    EXPECT_EQ(1u, top()->total);
    EXPECT_EQ(10u, top()->as_of.value);
}

TEST_F(board, says_whether_it_reaches_a_position) {
    ASSERT_TRUE(rebuild({change(5, 10)}, 8));
    EXPECT_TRUE(top(10, 0, base::position{8}));
    EXPECT_TRUE(is_behind(top(10, 0, base::position{9})));
    EXPECT_TRUE(is_behind(w.engine.run(wealth.rank({}, base::position{9}))));
}

TEST_F(board, boards_of_another_log_are_not_there) {
    ASSERT_TRUE(rebuild({change(5, 10)}, 8));
    base::log_identity restored = some_log;
    restored.epoch = 2;
    leaderboard other(n.client(), w.random, w.metrics, options(1, restored));
    EXPECT_TRUE(is_behind(w.engine.run(other.top(10, 0))));
}

TEST_F(board, updates_during_a_rebuild_are_in_the_new_generation) {
    ASSERT_TRUE(rebuild({change(1, 1)}, 1));
    naive_board model;
    const auto in_snapshot = change(5, 50);
    auto improved = in_snapshot;
    improved.score = 70;
    improved.position = {12};
    const auto late = change(15, 60);
    for (const auto& c : {in_snapshot, improved, late}) {
        model.apply(c);
    }
    const auto done = w.engine.run(wealth.rebuild([&] {
        return give_during(snapshot_of({in_snapshot}, {base::position{10}}),
                           {1, {8}, {20}, {improved, late}});
    }));
    ASSERT_TRUE(done) << done.error().message;
    expect_equal(model);
    EXPECT_EQ(20u, top()->as_of.value);
    EXPECT_TRUE(update(20, 25, {}));
}

TEST_F(board, a_rebuild_that_missed_an_update_is_refused) {
    const auto after_a_gap = [&](base::position from) {
        return w.engine.run(wealth.rebuild([this, from] {
            return give_during(snapshot_of({}, {base::position{10}}),
                               {1, from, {from.value + 5}, {}});
        }));
    };
    EXPECT_EQ(base::errc::conflict, after_a_gap({11}).error().code);
    EXPECT_TRUE(after_a_gap({10}));
}

TEST_F(board, a_later_rebuild_takes_over) {
    const auto first = w.engine.run(wealth.rebuild([&] {
        return give_after_another(snapshot_of({change(3, 3)}, {base::position{10}}),
                                  snapshot_of({change(2, 2)}, {base::position{5}}));
    }));
    ASSERT_FALSE(first);
    EXPECT_EQ(base::errc::conflict, first.error().code);
    EXPECT_EQ(10u, top()->as_of.value);
}

TEST_F(board, lanes_advance_independently) {
    leaderboard lanes(n.client(), w.random, w.metrics, options(4));
    const auto empty = snapshot_of({}, std::vector(4, base::position{5}));
    ASSERT_TRUE(w.engine.run(lanes.rebuild([&] { return give(empty); })));
    EXPECT_TRUE(w.engine.run(lanes.update({0b0011, {5}, {20}, {}})));
    EXPECT_EQ(5u, w.engine.run(lanes.top(1, 0))->as_of.value);
    EXPECT_TRUE(w.engine.run(lanes.update({0b1100, {5}, {12}, {}})));
    EXPECT_EQ(12u, w.engine.run(lanes.top(1, 0))->as_of.value);
    EXPECT_TRUE(is_behind(w.engine.run(lanes.update({0b1111, {20}, {30}, {}}))));
}

TEST_F(board, is_not_trusted_while_a_freshener_is_overdue) {
    ASSERT_TRUE(rebuild({change(5, 10)}, 8));
    n.run({"ZADD", "cache:fresheners", "1000", "died"});
    EXPECT_TRUE(is_behind(top()));
    n.run({"ZREM", "cache:fresheners", "died"});
    EXPECT_TRUE(top());
}

TEST_F(board, older_data_that_comes_back_is_not_served) {
    ASSERT_TRUE(rebuild({change(5, 10)}, 8));
    n.run({"SAVE"});
    ASSERT_TRUE(update(8, 20, {change(15, 99)}));
    w.server.kill();
    EXPECT_FALSE(top());
    w.server.start();
    ASSERT_TRUE(eventually([&] { return top().has_value(); })); // connected again
    w.engine.run(wealth.verify());
    EXPECT_TRUE(is_behind(top()));
    ASSERT_TRUE(rebuild({change(5, 10), change(15, 99)}, 20));
    n.run({"SAVE"});
    EXPECT_TRUE(update(20, 30, {}));
    w.server.kill();
    w.server.start();
    // Without verify() the next update finds out.
    ASSERT_TRUE(eventually([&] { return is_behind(update(30, 31, {})); }));
    EXPECT_TRUE(is_behind(top()));
}

TEST_F(board, an_update_that_may_be_missing_makes_it_doubtful) {
    ASSERT_TRUE(rebuild({change(5, 10)}, 8));
    w.server.pause();
    EXPECT_FALSE(update(8, 20, {change(15, 99)}));
    w.server.resume();
    EXPECT_TRUE(is_behind(top()));
    ASSERT_TRUE(eventually([&] { return rebuild({change(5, 10)}, 20).has_value(); }));
    EXPECT_EQ(1u, top()->total);
}

TEST_F(board, damaged_keys_are_rebuilt) {
    for (const char* part : {"", ":players", ":meta"}) {
        ASSERT_TRUE(rebuild({change(5, 10)}, 8));
        n.run({"DEL", std::string("leaderboard:wealth") + part});
        n.run({"SET", std::string("leaderboard:wealth") + part, "planted"});
        EXPECT_TRUE(is_behind(update(8, 9, {change(9, 1)}))) << part;
        EXPECT_TRUE(is_behind(top())) << part;
    }
    ASSERT_TRUE(rebuild({change(5, 10)}, 8));
    EXPECT_TRUE(top());
}

TEST_F(board, large_batches_arrive_whole) {
    ASSERT_TRUE(rebuild({}, 0));
    naive_board model;
    std::vector<score_change> changes;
    for (int i = 0; i < 980; ++i) {
        changes.push_back(change(1 + w.random.next() % 100, 5));
        model.apply(changes.back());
    }
    ASSERT_TRUE(update(0, 100, changes));
    expect_equal(model);
}

} // namespace
} // namespace immortal::cache
