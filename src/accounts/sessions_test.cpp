// Sessions under expiry, revocation, and services that go away.
#include "accounts/test_support.hpp"

namespace immortal::accounts {

using base::errc;
using namespace std::chrono_literals;

namespace {

using sessions_test = accounts_fixture;

TEST_F(sessions_test, tokens_are_checked_before_anything_is_asked) {
    open();
    for (const auto& token : {std::string(), std::string("x"), std::string(64, 'G'),
                              std::string(64, '0'), std::string(5000, 'a')}) {
        EXPECT_EQ(code_of(whose(token)), errc::unauthenticated);
    }
}

TEST_F(sessions_test, they_end_when_idle_and_in_any_case) {
    open();
    (void)signed_in("sleeper");
    const auto idle = log_in("sleeper").value().token;
    const auto busy = log_in("sleeper").value().token;
    for (int minutes = 0; minutes < 40; minutes += 10) {
        clock_.advance(10min);
        EXPECT_TRUE(whose(busy)) << minutes;
    }
    EXPECT_EQ(code_of(whose(idle)), errc::unauthenticated);
    for (int minutes = 40; minutes < 12 * 60; minutes += 10) {
        EXPECT_TRUE(whose(busy));
        clock_.advance(10min);
    }
    EXPECT_EQ(code_of(whose(busy)), errc::unauthenticated);
}

TEST_F(sessions_test, an_account_has_so_many_at_once) {
    options_.sessions_max = 2;
    open();
    (void)signed_in("collector");
    clock_.advance(1s);
    const auto first = log_in("collector").value().token;
    EXPECT_TRUE(whose(first));
    clock_.advance(1s);
    const auto second = log_in("collector").value().token;
    clock_.advance(1s);
    const auto third = log_in("collector").value().token;
    EXPECT_FALSE(whose(first));
    EXPECT_TRUE(whose(second));
    EXPECT_TRUE(whose(third));
}

TEST_F(sessions_test, a_remembered_session_is_not_asked_for_again) {
    open();
    (void)signed_in("quick");
    const auto token = log_in("quick").value().token;
    ASSERT_TRUE(whose(token));
    scratch_.execute("DELETE FROM sessions"); // behind the service's back
    EXPECT_TRUE(whose(token));
    clock_.advance(1s);
    EXPECT_FALSE(whose(token)); // at most a second later
}

TEST_F(sessions_test, another_process_hears_of_a_revocation_at_once) {
    open();
    auto other = make_service();
    other->start();
    (void)signed_in("traveller");
    const auto session = log_in("traveller").value();
    const auto who = whose(session.token).value();
    ASSERT_TRUE(engine_.run(other->authenticate(session.token)));
    ASSERT_TRUE(engine_.run(service_->log_out(who)));
    // The clock stands still: only the notification can make the other one ask again. The listener
    // may have connected after it was sent; then it says so, which voids everything, too.
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (engine_.run(other->authenticate(session.token)) &&
           std::chrono::steady_clock::now() < give_up) {
    }
    EXPECT_FALSE(engine_.run(other->authenticate(session.token)));
    engine_.run(other->stop());
}

class sessions_with_redis : public accounts_fixture {
protected:
    sessions_with_redis() {
        redis::settings to;
        to.uri = server_.uri();
        to.connect_timeout = to.command_timeout = milliseconds(20000);
        client_ = redis::make_client(engine_.executor(), to, metrics_);
        service_ = make_service(client_.get());
    }
    ~sessions_with_redis() override {
        stop();
        engine_.run(client_->stop());
    }
    std::string in_redis(const base::uuid& user) {
        return engine_.run(client_->run({"GET", "session:" + user.text()})).value().text;
    }

    redis::scratch_server server_;
    std::unique_ptr<redis::client> client_;
};

TEST_F(sessions_with_redis, the_list_of_sessions_is_kept_there_for_a_second) {
    const auto who = signed_in("cached");
    const auto token = log_in("cached").value().token;
    ASSERT_TRUE(whose(token));
    const auto left =
        engine_.run(client_->run({"PTTL", "session:" + who.user_id.text()})).value().integer;
    EXPECT_LE(left, 1000);
    const std::string text = in_redis(who.user_id);
    EXPECT_TRUE(text.empty() || text.find("tokenHash") != std::string::npos);
    EXPECT_EQ(text.find(token), std::string::npos);
}

TEST_F(sessions_with_redis, a_revoked_session_stays_dead_when_redis_is_killed_or_lies) {
    for (int round = 0; round < 3; ++round) {
        const std::string name = "mortal" + std::to_string(round);
        const auto who = signed_in(name);
        const auto session = log_in(name).value();
        const auto mine = whose(session.token).value();
        const std::string key = "session:" + who.user_id.text();
        const std::string before = in_redis(who.user_id);
        ASSERT_TRUE(engine_.run(service_->log_out(mine)));
        if (round == 0) {
            server_.kill();
        } else if (round == 1) {
            (void)engine_.run(client_->run({"FLUSHALL"}));
        } else { // what a Redis restored from an old copy would say
            (void)engine_.run(client_->run({"SET", key, before}));
        }
        EXPECT_EQ(code_of(whose(session.token)), errc::unauthenticated) << round;
        EXPECT_FALSE(engine_.run(service_->me(mine))->sessions > 1);
        clock_.advance(2s);
        EXPECT_EQ(code_of(whose(session.token)), errc::unauthenticated) << round;
        if (round == 0) {
            server_.start();
            while (!engine_.run(client_->run({"PING"}))) {
            }
            EXPECT_EQ(code_of(whose(session.token)), errc::unauthenticated);
        }
    }
}

TEST_F(sessions_with_redis, rubbish_in_redis_is_not_believed) {
    const auto who = signed_in("target");
    const auto token = log_in("target").value().token;
    for (const auto* planted : {"", "{}", "[1", "null", "{\"asOf\":\"9999-01-01T00:00:00Z\"}"}) {
        (void)engine_.run(client_->run({"SET", "session:" + who.user_id.text(), planted}));
        clock_.advance(2s);
        EXPECT_TRUE(whose(token)) << planted;
    }
}

TEST_F(sessions_with_redis, everything_works_without_it) {
    server_.kill();
    const auto who = signed_in("stoic");
    const auto token = log_in("stoic").value().token;
    EXPECT_TRUE(whose(token));
    EXPECT_TRUE(engine_.run(service_->log_out(who)));
}

TEST_F(sessions_test, a_database_that_is_away_is_unavailable_not_unauthenticated) {
    open();
    (void)signed_in("patient");
    const auto token = log_in("patient").value().token;
    postgres::settings nowhere = postgres_;
    nowhere.uri = "host=/nowhere user=nobody dbname=none";
    const auto away = postgres::make_database(engine_.executor(), nowhere, metrics_);
    service lonely(
        parts{engine_.executor(), *away, nowhere, nullptr, nullptr, clock_, random_, metrics_},
        options_);
    EXPECT_EQ(code_of(engine_.run(lonely.authenticate(token))), errc::unavailable);
    EXPECT_EQ(code_of(engine_.run(lonely.log_in("patient", good, "10.0.0.1"))), errc::unavailable);
    EXPECT_EQ(code_of(engine_.run(lonely.register_user("someone", "a@b.cd", good, "10.0.0.1"))),
              errc::unavailable);
    engine_.run(away->stop());
}

} // namespace
} // namespace immortal::accounts
