#include "game/cultivation.hpp"
#include "game/home.hpp"
#include "ops/deadlines.hpp"
#include "ops/test_world.hpp"

namespace immortal::ops {
namespace {

using namespace testing;

class deadlines_test : public world {
protected:
    std::unique_ptr<deadline_poller> poll(std::string owner = "one") {
        deadline_settings s;
        s.job = quick(std::move(owner));
        s.page = 2;
        auto out = std::make_unique<deadline_poller>(
            engine_.executor(), deadline_poller::parts{*db_, *commands_, clock_, metrics_}, s);
        out->start();
        return out;
    }
    static std::string outcome(const char* which) {
        return std::string("immortal_deadlines_total{outcome=\"") + which + "\"}";
    }
    game::home<game::cultivation::state> session(base::uuid which) {
        game::home<game::cultivation::state> out;
        const auto page = engine_.run(store_->read_stream(game::cultivation::stream_of(which), {0},
                                                          eventstore::direction::forwards, 100));
        for (const auto& e : page->events) {
            EXPECT_TRUE(game::fold(out, e).has_value());
        }
        return out;
    }
    std::vector<base::uuid> start_sessions(int count) {
        std::vector<base::uuid> out;
        for (int i = 0; i < count; ++i) {
            const auto player = create(who_, "修士" + std::to_string(i));
            out.push_back(start_session(who_, player, "start" + std::to_string(i)));
        }
        return out;
    }
    void expect_all_ended_once(const std::vector<base::uuid>& sessions) {
        for (const auto& one : sessions) {
            const auto at = session(one);
            EXPECT_EQ(at.state.end_reason, "unattended");
            EXPECT_EQ(at.revision, base::revision{1});
        }
    }
    commands::actor who_ = account("who");
};

TEST_F(deadlines_test, unattended_sessions_are_completed) {
    const auto sessions = start_sessions(7);
    ASSERT_TRUE(start());
    catch_up();
    EXPECT_EQ(sql("SELECT count(*) FROM due_commands"), "7");
    const auto poller = poll();
    clock_.advance(std::chrono::hours(2)); // they could be completed; there is still time
    ASSERT_TRUE(eventually([&] { return metric("immortal_ops_lease{job=\"deadlines\"}") > 0; }));
    EXPECT_EQ(session(sessions[0]).revision, base::revision{0});
    clock_.advance(std::chrono::hours(24));
    EXPECT_TRUE(eventually([&] { return sql("SELECT count(*) FROM due_commands") == "0"; }));
    engine_.run(poller->stop());
    expect_all_ended_once(sessions);
    EXPECT_EQ(metric(outcome("done")), 7);
    EXPECT_EQ(metric(outcome("failed")), 0);
    catch_up();
    stop();
    expect_clean();
}

TEST_F(deadlines_test, a_restart_and_a_rebuild_lose_no_deadline) {
    const auto sessions = start_sessions(3);
    project();
    const std::string before = dump();
    ASSERT_TRUE(engine_.run(readmodel::rebuild(engine_.executor(), parts(),
                                               readmodel::testing::world::quick("again"))));
    EXPECT_EQ(dump(), before);
    restart_commands();
    clock_.advance(std::chrono::hours(48));
    ASSERT_TRUE(start());
    const auto poller = poll("after");
    EXPECT_TRUE(eventually([&] { return sql("SELECT count(*) FROM due_commands") == "0"; }));
    engine_.run(poller->stop());
    expect_all_ended_once(sessions);
}

// The rows stay: the read model does not follow. Nothing happens twice.
TEST_F(deadlines_test, a_read_model_that_stands_still_does_no_harm) {
    const auto sessions = start_sessions(3);
    project();
    clock_.advance(std::chrono::hours(48));
    auto first = poll("one");
    ASSERT_TRUE(eventually([&] { return metric(outcome("done")) == 3; }));
    engine_.run(first->stop());
    restart_commands();
    // Another process, which knows nothing of what the first one did.
    auto second = poll("two");
    ASSERT_TRUE(eventually([&] { return metric(outcome("settled")) == 3; }));
    engine_.run(second->stop());
    expect_all_ended_once(sessions);
}

// Two pollers at once, each believing that it alone works.
TEST_F(deadlines_test, a_process_that_wakes_up_late_does_no_harm) {
    const auto sessions = start_sessions(5);
    project();
    clock_.advance(std::chrono::hours(48));
    const readmodel::job_fence late{"deadlines", "late", 1};
    sql("INSERT INTO job_leases VALUES ('deadlines', 'late', 1, now() + interval '1 hour')");
    const auto loaded = engine_.run(readmodel::load_due(*db_, late, clock_.now(), {}, 100));
    ASSERT_EQ(loaded->size(), 5u);
    // It is paused here; another one takes over and does the work.
    auto poller = poll("awake");
    ASSERT_TRUE(eventually([&] { return metric(outcome("done")) == 5; }));
    engine_.run(poller->stop());
    for (const auto& due : *loaded) {
        const auto again = engine_.run(commands_->execute(
            commands::system_actor(), readmodel::key_of(due), command_of(due).value()));
        ASSERT_TRUE(again.has_value());
        EXPECT_TRUE(again->repeated);
    }
    expect_all_ended_once(sessions);
    const auto nothing = engine_.run(readmodel::load_due(*db_, late, clock_.now(), {}, 100));
    EXPECT_TRUE(nothing->empty()); // the fence: its lease is another's
}

TEST_F(deadlines_test, the_player_may_be_faster) {
    const auto sessions = start_sessions(1);
    project();
    clock_.advance(std::chrono::hours(48));
    (void)done(who_, "complete", commands::complete_cultivation{sessions[0]});
    auto poller = poll(); // the row is still there
    EXPECT_TRUE(eventually([&] { return metric(outcome("settled")) == 1; }));
    engine_.run(poller->stop());
    EXPECT_EQ(session(sessions[0]).state.end_reason, "completed");
}

TEST_F(deadlines_test, what_fails_is_tried_again_and_holds_nobody_up) {
    const auto sessions = start_sessions(4);
    project();
    sql("INSERT INTO due_commands SELECT 'nothing-' || n, 0, owner, 'sing', "
        "due_at - interval '1 day', 1 FROM (SELECT owner, due_at FROM due_commands LIMIT 1) d, "
        "generate_series(1, 3) n");
    faults_.fail_once(commands::fault::unavailable, 1);
    clock_.advance(std::chrono::hours(48));
    auto poller = poll();
    EXPECT_TRUE(eventually([&] { return metric(outcome("done")) == 3; }));
    EXPECT_EQ(metric(outcome("failed")), 4); // three unknown ones, one unlucky
    EXPECT_TRUE(eventually([&] {
        clock_.advance(1s); // back-off counts on this clock
        return metric(outcome("done")) == 4;
    }));
    engine_.run(poller->stop());
    expect_all_ended_once(sessions);
}

} // namespace
} // namespace immortal::ops
