#include "cache/service.hpp"
#include "readmodel/test_world.hpp"
#include "readmodel/views.hpp"
#include "readmodel/warm_up.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>

namespace immortal::readmodel {
namespace {

using testing::eventually;
using testing::world;
using namespace std::chrono_literals;

class queries_test : public world {
protected:
    queries sql_{*db_, *store_};
};

TEST_F(queries_test, answers_carry_value_position_and_as_of) {
    story_.act(200);
    project();
    const base::uuid id = story_.ids().front();
    const auto player = engine_.run(sql_.player(id)).value();
    ASSERT_TRUE(player.value);
    EXPECT_EQ(player.value->name, story_.state_of(id).name);
    EXPECT_EQ(player.value->experience, story_.state_of(id).experience);
    EXPECT_EQ(player.position, player.value->position);
    EXPECT_EQ(player.as_of, *store_->head());
    EXPECT_FALSE(engine_.run(sql_.player({})).value().value);
    const auto own = engine_.run(sql_.players_of(player.value->user_id)).value();
    ASSERT_EQ(own.value.size(), 1u);
    EXPECT_EQ(own.value[0], *player.value);
    const auto statistics = engine_.run(sql_.statistics(id)).value();
    ASSERT_TRUE(statistics.value);
    const auto techniques = engine_.run(sql_.techniques(id)).value();
    ASSERT_TRUE(techniques.value);
    EXPECT_EQ(techniques.value->items.size(), story_.state_of(id).techniques.size());
    const auto session = *base::uuid::parse(sql("SELECT min(session_id) FROM cultivation_records"));
    EXPECT_TRUE(engine_.run(sql_.cultivation(session)).value().value);
    EXPECT_FALSE(engine_.run(sql_.cultivation(id)).value().value);
}

TEST_F(queries_test, statistics_are_what_the_view_says) {
    story_.act(400);
    project();
    std::int64_t sessions = 0;
    for (const base::uuid id : story_.ids()) {
        const auto s = engine_.run(sql_.statistics(id)).value().value;
        ASSERT_TRUE(s);
        sessions += s->total_cultivation_sessions;
        EXPECT_EQ(sql("SELECT concat_ws(' ', name, level, experience, gold, "
                      "total_cultivation_sessions, round(total_cultivation_time_hours, 9), "
                      "total_experience_from_cultivation, breakthroughs_achieved, total_combats, "
                      "round(combat_win_rate, 9), total_items, total_techniques, "
                      "master_level_techniques) FROM player_statistics WHERE id = '" +
                      id.text() + "'"),
                  fmt::format("{} {} {} {} {} {:.9f} {} {} {} {:.9f} {} {} {}", s->name, s->level,
                              s->experience, s->gold, s->total_cultivation_sessions,
                              s->total_cultivation_time_hours, s->total_experience_from_cultivation,
                              s->breakthroughs_achieved, s->total_combats, s->combat_win_rate,
                              s->total_items, s->total_techniques, s->master_level_techniques));
    }
    EXPECT_GT(sessions, 0);
}

TEST_F(queries_test, leaderboards_and_ranks_agree) {
    story_.act(500);
    project();
    for (const board which : {board::cultivation, board::level, board::wealth}) {
        const auto all = engine_.run(sql_.leaderboard(which, 200, 0)).value().value;
        ASSERT_GT(all.size(), 3u) << name_of(which);
        for (std::size_t i = 0; i < all.size(); ++i) {
            EXPECT_EQ(all[i].rank, static_cast<std::int64_t>(i) + 1);
            if (i > 0) {
                const auto order = [](const rank_view& r) {
                    return std::tuple(-r.score, r.position, r.id);
                };
                EXPECT_LT(order(all[i - 1]), order(all[i])) << name_of(which);
            }
            const auto own = engine_.run(sql_.rank(which, all[i].id)).value().value;
            ASSERT_TRUE(own);
            EXPECT_EQ(*own, all[i]);
        }
        const auto page = engine_.run(sql_.leaderboard(which, 2, 1)).value().value;
        ASSERT_EQ(page.size(), 2u);
        EXPECT_EQ(page[0], all[1]);
        EXPECT_EQ(page[1], all[2]);
    }
    EXPECT_EQ(engine_.run(sql_.leaderboard(board::level, 0, 0)).error().field, "limit");
    EXPECT_EQ(engine_.run(sql_.leaderboard(board::level, 1, -1)).error().field, "offset");
}

TEST_F(queries_test, history_pages_backwards) {
    story_.act(150);
    const base::uuid id = story_.ids().front();
    std::vector<std::uint64_t> seen;
    std::optional<base::revision> before;
    do {
        const auto page = engine_.run(sql_.history(id, before, 3)).value().value;
        for (const auto& item : page.items) {
            seen.push_back(item.event_version);
        }
        before = page.next;
    } while (before);
    ASSERT_FALSE(seen.empty());
    for (std::size_t i = 0; i < seen.size(); ++i) {
        EXPECT_EQ(seen[i], seen.size() - 1 - i);
    }
}

// Time travel: at every place of the log the same as what the live row was there.
TEST_F(queries_test, a_player_at_any_place_and_time) {
    const base::uuid id = story_.create_player("traveller");
    std::vector<std::pair<base::position, game::player::state>> past;
    std::vector<base::utc_time> times;
    for (int i = 0; i < 60; ++i) {
        story_.act();
        past.emplace_back(*store_->head(), story_.state_of(id));
        times.push_back(clock_.now());
    }
    for (std::size_t i = 0; i < past.size(); ++i) {
        // A place inside the next append is rounded down.
        for (const std::uint64_t offset : {0u, 1u}) {
            const auto then =
                engine_.run(player_at(*store_, id, base::position{past[i].first.value + offset}));
            ASSERT_TRUE(then && then->value);
            EXPECT_EQ(then->value->experience, past[i].second.experience);
            EXPECT_EQ(then->value->status == "cultivating",
                      past[i].second.status == game::player_status::cultivating);
            EXPECT_EQ(then->as_of, past[i].first);
        }
        const auto then = engine_.run(player_at_time(*store_, id, times[i]));
        ASSERT_TRUE(then && then->value);
        EXPECT_EQ(then->value->experience, past[i].second.experience);
        EXPECT_EQ(then->value->energy, past[i].second.energy);
    }
    EXPECT_FALSE(engine_.run(player_at(*store_, id, base::position{1})).value().value);
    EXPECT_FALSE(engine_.run(player_at_time(*store_, id, testing::first_day - 1s)).value().value);
}

TEST_F(queries_test, waits_for_a_position_or_says_behind) {
    const base::uuid id = story_.create_player("late");
    views served(sql_, applied_, *store_, nullptr, clock_, {50ms, 1s});
    const auto head = *store_->head();
    const auto behind = engine_.run(served.player(id, head));
    ASSERT_FALSE(behind);
    EXPECT_EQ(behind.error().code, base::errc::behind);
    EXPECT_EQ(behind.error().reason, "read_model_behind");
    EXPECT_GT(behind.error().retry_after_ms, 0u);
    const auto beyond = engine_.run(served.player(id, base::position{head.value + 1000}));
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().field, "after");
    EXPECT_EQ(beyond.error().reason, "invalid_parameter");
    views patient(sql_, applied_, *store_, nullptr, clock_, {60s, 1s});
    auto waiting =
        std::async(std::launch::async, [&] { return engine_.run(patient.player(id, head)); });
    EXPECT_TRUE(eventually([&] { return applied_.waiting() == 1; }));
    ASSERT_TRUE(start());
    const auto found = waiting.get();
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->absent);
    EXPECT_GE(found->as_of, head);
}

// The same through Redis.
class cached_test : public queries_test {
protected:
    cached_test() {
        redis::settings s;
        s.uri = std::getenv("IMMORTAL_TEST_REDIS");
        s.connect_timeout = 20s;
        s.command_timeout = 20s;
        redis_ = redis::make_client(engine_.executor(), s, metrics_);
        (void)engine_.run(redis_->run({"FLUSHALL"}));
        cache::service::options options;
        options.cache.identity = store_->identity();
        options.cache.freshener = "test";
        options.cache.exclusive = true;
        options.cache.lease = 20s;
        cache_ =
            std::make_unique<cache::service>(engine_.executor(), redis_.get(), nullptr, real_clock_,
                                             random_, metrics_, std::move(options));
        cache_->start();
        served_ = std::make_unique<views>(sql_, applied_, *store_, cache_.get(), clock_);
        EXPECT_TRUE(eventually([&] { return cache_->values().health().redis_trusted; }));
    }
    ~cached_test() override {
        stop();
        engine_.run(cache_->stop());
        engine_.run(redis_->stop());
    }
    base::status start_cached(step_hook hook = {}) {
        auto with = parts();
        with.shared = cache_.get();
        worker_ = std::make_unique<projector>(engine_.executor(), with, quick());
        worker_->set_step_hook(std::move(hook));
        return engine_.run(worker_->start());
    }
    check_report check_cached() {
        return engine_.run(check({*db_, *store_, game::catalog::builtin(), cache_.get()}, {}, {}))
            .value();
    }

    base::system_clock real_clock_;
    base::system_random random_;
    std::unique_ptr<redis::client> redis_;
    std::unique_ptr<cache::service> cache_;
    std::unique_ptr<views> served_;
};

TEST_F(cached_test, entries_follow_the_rows) {
    ASSERT_TRUE(start_cached());
    for (int i = 0; i < 10; ++i) {
        story_.act(30);
        catch_up();
    }
    const auto head = *store_->head();
    for (const base::uuid id : story_.ids()) {
        const auto cached = engine_.run(served_->player(id, head));
        const auto row = engine_.run(sql_.player(id)).value();
        ASSERT_TRUE(cached) << cached.error().message;
        EXPECT_EQ(cached->payload, base::encode_text(*row.value));
        const auto statistics = engine_.run(served_->statistics(id, head));
        ASSERT_TRUE(statistics);
        EXPECT_EQ(statistics->payload,
                  base::encode_text(*engine_.run(sql_.statistics(id)).value().value));
        EXPECT_TRUE(engine_.run(served_->techniques(id, head)));
    }
    EXPECT_TRUE(eventually([&] {
        const check_report report = check_cached();
        return report.differences == 0 && report.cache_entries > 0;
    }));
}

// What the cache knows of the totals is forgotten whenever it may not be so any more.
TEST_F(cached_test, statistics_follow_the_rows_though_answers_get_lost) {
    std::atomic<int> commits{0};
    const step_hook lose_every_third = [&](const char* name) {
        return std::string_view(name) != "committed" || ++commits % 3 != 0;
    };
    for (int life = 0; life < 3; ++life) {
        ASSERT_TRUE(start_cached(lose_every_third));
        for (int i = 0; i < 10; ++i) {
            story_.act(10);
            catch_up();
        }
        const auto head = *store_->head();
        for (const base::uuid id : story_.ids()) {
            EXPECT_TRUE(eventually([&] {
                const auto cached = engine_.run(served_->statistics(id, head));
                const auto row = engine_.run(sql_.statistics(id)).value().value;
                return cached && row && cached->payload == base::encode_text(*row);
            }));
        }
        EXPECT_TRUE(eventually([&] { return check_cached().differences == 0; }));
        stop();
        story_.act(10);
        project(); // by another, which this one's cache does not hear of
    }
    EXPECT_GT(commits, 10);
}

TEST_F(cached_test, a_wrong_entry_is_found_by_the_check) {
    ASSERT_TRUE(start_cached());
    story_.act(100);
    catch_up();
    const base::uuid id = story_.ids().front();
    const auto row = engine_.run(sql_.player(id)).value();
    EXPECT_TRUE(eventually([&] { return check_cached().differences == 0; }));
    player_view wrong = *row.value;
    wrong.gold += 1;
    engine_.run(cache_->values().freshen(
        {{cache::keys::player(id),
          {wrong.position, {row.as_of.value + 1}, false, base::encode_text(wrong)}}}));
    const check_report report = check_cached();
    ASSERT_EQ(report.differences, 1u) << base::encode_text(report);
    EXPECT_EQ(report.list[0].where, "cache player");
    EXPECT_EQ(report.list[0].field, "gold");
}

TEST_F(cached_test, boards_in_redis_give_the_order_of_sql) {
    ASSERT_TRUE(start_cached());
    story_.act(300);
    catch_up();
    for (const board which : {board::cultivation, board::level, board::wealth}) {
        cache::leaderboard* target = cache_->board(name_of(which));
        ASSERT_NE(target, nullptr);
        EXPECT_TRUE(eventually([&] {
            return engine_.run(target->top(10, 0, *store_->head())).has_value();
        })) << name_of(which);
        const auto expected = engine_.run(sql_.leaderboard(which, 50, 0)).value().value;
        const auto page = engine_.run(target->top(50, 0)).value();
        ASSERT_EQ(page.rows.size(), expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            EXPECT_EQ(page.rows[i].player, expected[i].id) << name_of(which) << i;
            EXPECT_EQ(page.rows[i].score, expected[i].score);
        }
        const auto view = engine_.run(served_->leaderboard(which, 50, 0, *store_->head()));
        ASSERT_TRUE(view);
        EXPECT_EQ(view->payload, base::encode_text(expected));
        const auto rank = engine_.run(served_->rank(which, expected[1].id, *store_->head()));
        ASSERT_TRUE(rank);
        EXPECT_EQ(rank->payload, base::encode_text(expected[1]));
    }
    // Redis forgets everything: the same answers, and the boards come back.
    (void)engine_.run(redis_->run({"FLUSHALL"}));
    EXPECT_TRUE(engine_.run(served_->leaderboard(board::level, 7, 0, *store_->head())));
    story_.act(20);
    catch_up();
    EXPECT_TRUE(eventually([&] {
        return engine_.run(cache_->board("level")->top(10, 0, *store_->head())).has_value();
    }));
}

TEST_F(cached_test, a_wrong_place_on_a_board_is_found_by_the_check) {
    ASSERT_TRUE(start_cached());
    story_.act(100);
    catch_up();
    EXPECT_TRUE(eventually([&] {
        const check_report report = check_cached();
        return report.differences == 0 && report.board_entries >= 2 * story_.ids().size();
    }));
    const auto ranks = cache_->board("level");
    const base::uuid known = story_.ids().front();
    const auto row = engine_.run(ranks->rank(known)).value().row;
    ASSERT_TRUE(row);
    // Another score at the same position, as a fault in Redis would have it.
    const auto plant = [&](std::int64_t score) {
        const auto members = engine_.run(
            redis_->run({"ZREVRANGE", "leaderboard:level", std::to_string(row->rank - 1),
                         std::to_string(row->rank - 1)}));
        ASSERT_TRUE(members);
        ASSERT_TRUE(engine_.run(redis_->run(
            {"ZADD", "leaderboard:level", std::to_string(score), members->items.at(0).text})));
    };
    plant(row->score + 1000);
    check_report report = check_cached();
    ASSERT_EQ(report.differences, 1u) << base::encode_text(report);
    EXPECT_EQ(report.list[0].where, "leaderboard level");
    EXPECT_EQ(report.list[0].field, "score");
}

TEST_F(cached_test, a_stranger_on_a_board_is_found_by_the_check) {
    ASSERT_TRUE(start_cached());
    story_.act(50);
    catch_up();
    EXPECT_TRUE(eventually([&] { return check_cached().board_entries > 0; }));
    const auto at = *store_->head();
    story_.act(5);
    catch_up();
    const base::uuid stranger = base::uuid::make_derived("nobody", "at all");
    cache::score_batch batch{std::uint64_t{1} << partition_of(stranger), at, at, {}};
    batch.changes.push_back({stranger, 7, at});
    EXPECT_TRUE(eventually([&] { // its lane takes it at the position where it stands
        const auto now = *store_->head();
        batch.from = now;
        batch.to = now;
        return engine_.run(cache_->board("level")->update(batch)).has_value();
    }));
    EXPECT_TRUE(eventually([&] { return check_cached().differences == 1; }));
    EXPECT_EQ(check_cached().list.at(0).where, "leaderboard level");
}

TEST_F(cached_test, warm_up_fills_configuration_and_boards) {
    register_warm_up({*cache_, *served_, *db_}, R"({"timeScale":1})");
    ASSERT_TRUE(start_cached());
    story_.act(50);
    catch_up();
    EXPECT_TRUE(eventually([&] { return check_cached().board_entries > 0; }));
    (void)engine_.run(redis_->run({"FLUSHALL"}));
    EXPECT_TRUE(eventually([&] { return engine_.run(cache_->values().warm_up()) == 4u; }));
    const auto config = engine_.run(cache_->values().get_or_load(
        cache::keys::game_config(), {},
        [](std::optional<base::position>) -> awaitable<base::result<cache::entry>> {
            co_return base::fail(base::errc::not_found, "not warm");
        }));
    ASSERT_TRUE(config);
    EXPECT_EQ(config->payload, R"({"timeScale":1})");
    EXPECT_TRUE(eventually([&] {
        (void)engine_.run(cache_->values().warm_up());
        return engine_.run(cache_->board("level")->top(1, 0)).has_value();
    }));
}

} // namespace
} // namespace immortal::readmodel
