#include "esdb/access_control.hpp"
#include "esdb/user_directory.hpp"
#include "eventstore/memory_store.hpp"
#include "runtime/engine.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace immortal::esdb {
namespace {

using base::errc;

class user_directory_test : public testing::Test {
protected:
    user_directory_test() { engine_.start(); }
    ~user_directory_test() override {
        close();
        engine_.stop();
        hasher_.stop();
    }

    // The password of the first user, if one was made.
    std::optional<std::string> open() {
        users_ =
            std::make_unique<user_directory>(*store_, hasher_, clock_, random_, engine_.executor());
        auto made = engine_.run(users_->start());
        EXPECT_TRUE(made.has_value());
        if (!made || !*made) {
            return std::nullopt;
        }
        login_ = (*made)->login;
        return (*made)->password;
    }
    void close() {
        if (users_) {
            engine_.run(users_->stop());
            users_.reset();
        }
    }
    base::status create(std::string login, std::string password,
                        std::vector<std::string> groups = {}) {
        user_record user;
        user.login_name = std::move(login);
        user.groups = std::move(groups);
        return engine_.run(users_->create(std::move(user), std::move(password)));
    }
    base::result<principal> log_in(std::string login, std::string password,
                                   std::string source = "ipv4:127.0.0.1") {
        return engine_.run(
            users_->authenticate({std::move(login), std::move(password)}, std::move(source)));
    }
    template <typename T>
    static errc code_of(const base::result<T>& outcome) {
        return outcome ? errc::internal : outcome.error().code;
    }

    // As a program without the rule of the reserved streams could have written.
    void plant(std::string stream, eventlog::stream_write::action what,
               std::vector<eventlog::new_event> events = {}) {
        std::vector<eventlog::stream_write> writes;
        writes.push_back({std::move(stream), {}, std::move(events), what});
        const auto done = engine_.run(store_->append(std::move(writes)));
        ASSERT_TRUE(done) << done.error().message;
    }
    void plant_event(std::string stream, std::string type, std::string data) {
        plant(std::move(stream), action::append,
              {{base::uuid::make_random(random_), std::move(type), std::move(data), {}}});
    }
    void await_forgotten(const std::string& login) {
        for (int i = 0; i < 3000 && users_->find(login); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        EXPECT_FALSE(users_->find(login)) << login;
    }
    using action = eventlog::stream_write::action;

    std::string login_; // of the administrator that a start made
    base::manual_clock clock_{base::utc_time(std::chrono::hours(500'000))};
    base::seeded_random random_{7};
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    accounts::password_hasher hasher_{
        {.memory_bytes = 8192, .passes = 1, .at_once = 1, .queue_max = 64}};
    runtime::engine engine_{{}};
    std::unique_ptr<user_directory> users_;
};

TEST_F(user_directory_test, the_first_start_makes_an_administrator_once) {
    const auto password = open();
    ASSERT_TRUE(password.has_value());
    EXPECT_GE(password->size(), 24U);
    const auto who = log_in("admin", *password);
    ASSERT_TRUE(who.has_value());
    EXPECT_TRUE(who->has_role("$admins"));
    close();
    EXPECT_FALSE(open().has_value());
    EXPECT_TRUE(log_in("admin", *password).has_value());
    EXPECT_EQ(code_of(log_in("admin", "changeit")), errc::unauthenticated);
}

TEST_F(user_directory_test, users_survive_a_restart_with_their_groups) {
    open();
    ASSERT_TRUE(create("alice", "correct horse", {"readers"}).has_value());
    EXPECT_EQ(code_of(create("alice", "another one")), errc::already_exists);
    close();
    open();
    const auto who = log_in("alice", "correct horse");
    ASSERT_TRUE(who.has_value());
    EXPECT_EQ(who->groups, std::vector<std::string>{"readers"});
}

TEST_F(user_directory_test, a_changed_password_ends_the_old_one_at_once) {
    open();
    ASSERT_TRUE(create("alice", "correct horse").has_value());
    ASSERT_TRUE(log_in("alice", "correct horse").has_value());
    EXPECT_EQ(code_of(engine_.run(users_->change_password("alice", "wrong", "battery staple", ""))),
              errc::unauthenticated);
    ASSERT_TRUE(engine_.run(users_->change_password("alice", "correct horse", "battery staple", ""))
                    .has_value());
    EXPECT_EQ(code_of(log_in("alice", "correct horse")), errc::unauthenticated);
    EXPECT_TRUE(log_in("alice", "battery staple").has_value());
    ASSERT_TRUE(engine_.run(users_->reset_password("alice", "a third one")).has_value());
    EXPECT_TRUE(log_in("alice", "a third one").has_value());
}

TEST_F(user_directory_test, disabled_and_removed_users_are_refused) {
    open();
    ASSERT_TRUE(create("alice", "correct horse").has_value());
    ASSERT_TRUE(log_in("alice", "correct horse").has_value());
    ASSERT_TRUE(engine_.run(users_->set_disabled("alice", true)).has_value());
    EXPECT_EQ(code_of(log_in("alice", "correct horse")), errc::unauthenticated);
    ASSERT_TRUE(engine_.run(users_->set_disabled("alice", false)).has_value());
    EXPECT_TRUE(log_in("alice", "correct horse").has_value());
    ASSERT_TRUE(engine_.run(users_->remove("alice")).has_value());
    EXPECT_EQ(code_of(log_in("alice", "correct horse")), errc::unauthenticated);
    EXPECT_EQ(code_of(engine_.run(users_->remove("alice"))), errc::not_found);
    close();
    open();
    EXPECT_FALSE(users_->find("alice").has_value());
    ASSERT_TRUE(create("alice", "back again").has_value()) << "the name may be used again";
    EXPECT_TRUE(log_in("alice", "back again").has_value());
}

TEST_F(user_directory_test, a_user_whose_stream_is_ended_is_not_let_in_any_more) {
    open();
    const std::string hidden = R"({"$tb":7})";
    for (const auto* login : {"alice", "bob", "carol", "dave"}) {
        ASSERT_TRUE(create(login, "correct horse"));
        ASSERT_TRUE(log_in(login, "correct horse"));
    }
    plant("$user-alice", action::tombstone);
    plant("$user-bob", action::soft_delete);
    plant_event("$user-carol", "$UserUpdated", "no user");
    plant_event("$$$user-dave", "$metadata", hidden);
    for (const auto* login : {"alice", "bob", "carol", "dave"}) {
        await_forgotten(login);
        EXPECT_EQ(code_of(log_in(login, "correct horse")), errc::unauthenticated) << login;
    }
    close();
    EXPECT_FALSE(open()) << "there is an administrator";
    for (const auto* login : {"alice", "bob", "carol", "dave"}) {
        EXPECT_EQ(code_of(log_in(login, "correct horse")), errc::unauthenticated) << login;
    }
    const auto ended = create("alice", "correct horse");
    EXPECT_EQ(ended.error().reason, "login_ended");
    EXPECT_EQ(ended.error().field, "login_name");
    for (const auto* login : {"bob", "carol", "dave"}) {
        EXPECT_TRUE(create(login, "another one")) << login;
    }
    EXPECT_TRUE(log_in("carol", "another one"));
}

TEST_F(user_directory_test, an_administrator_who_was_lost_is_replaced) {
    open();
    ASSERT_TRUE(create("alice", "correct horse"));
    close();
    plant("$user-admin", action::tombstone);
    const auto password = open();
    ASSERT_TRUE(password.has_value());
    EXPECT_EQ(login_, "admin-2");
    EXPECT_TRUE(log_in("admin-2", *password)->has_role("$admins"));
    EXPECT_TRUE(log_in("alice", "correct horse"));
    close();
    EXPECT_FALSE(open()) << "once";
}

TEST_F(user_directory_test, without_the_list_the_users_are_still_found) {
    const auto password = open();
    ASSERT_TRUE(create("alice", "correct horse"));
    close();
    plant_event("$$$users", "$metadata", R"({"$maxCount":1})");
    EXPECT_FALSE(open());
    EXPECT_TRUE(log_in("admin", *password));
    close();
    plant("$users", action::tombstone);
    EXPECT_FALSE(open());
    EXPECT_TRUE(log_in("admin", *password));
    EXPECT_TRUE(log_in("alice", "correct horse"));
    ASSERT_TRUE(create("bob", "battery staple"));
    close();
    EXPECT_FALSE(open());
    EXPECT_TRUE(log_in("bob", "battery staple"));
}

TEST_F(user_directory_test, guessing_is_slowed_down) {
    open();
    ASSERT_TRUE(create("alice", "correct horse").has_value());
    errc last = errc::unauthenticated;
    for (int i = 0; i < 7 && last == errc::unauthenticated; ++i) {
        last = code_of(log_in("alice", "guess"));
    }
    EXPECT_EQ(last, errc::rate_limited);
    EXPECT_TRUE(log_in("alice", "correct horse", "ipv4:127.0.0.2")) << "nobody is locked out";
    EXPECT_TRUE(log_in("bob", "guess").error().code == errc::unauthenticated);
    clock_.advance(std::chrono::minutes(16));
    EXPECT_TRUE(log_in("alice", "correct horse").has_value());
}

// Whoever has an IPv6 address has 2^64 of them.
TEST_F(user_directory_test, guessing_from_many_addresses_of_one_site_is_slowed_down) {
    open();
    ASSERT_TRUE(create("alice", "correct horse").has_value());
    const auto rules = make_access_control(*users_, *store_, {});
    errc last = errc::unauthenticated;
    for (int i = 0; i < 7 && last == errc::unauthenticated; ++i) {
        call_headers headers;
        headers.authorization = "Basic YWxpY2U6Z3Vlc3M="; // alice:guess
        headers.peer = "ipv6:%5B2001:db8:1:2::" + std::to_string(i + 1) + "%5D:40000";
        last = code_of(engine_.run(rules->authenticate(headers)));
    }
    EXPECT_EQ(last, errc::rate_limited);
}

// A hash takes milliseconds here, so all of them stand in line at once.
TEST_F(user_directory_test, guesses_of_one_address_leave_room_for_others) {
    accounts::password_hasher slow(
        {.memory_bytes = 8u << 20, .passes = 4, .at_once = 1, .queue_max = 8});
    user_directory users(*store_, slow, clock_, random_, engine_.executor(), 4);
    ASSERT_TRUE(engine_.run(users.start()).has_value());
    const auto guess = [&](const std::string& login, const std::string& source) {
        return boost::asio::co_spawn(engine_.executor(),
                                     users.authenticate({login, "guess"}, source),
                                     boost::asio::use_future);
    };
    std::vector<std::future<base::result<principal>>> flood;
    for (int i = 0; i < 30; ++i) {
        flood.push_back(guess("nobody" + std::to_string(i), "ipv4:127.0.0.1"));
    }
    auto other = guess("alice", "ipv4:127.0.0.2");
    EXPECT_EQ(code_of(other.get()), errc::unauthenticated);
    std::size_t refused = 0;
    for (auto& one : flood) {
        refused += code_of(one.get()) == errc::rate_limited ? 1 : 0;
    }
    EXPECT_GT(refused, 0u);
    engine_.run(users.stop());
    slow.stop();
}

TEST_F(user_directory_test, guesses_leave_room_for_whoever_logged_in_from_there_before) {
    open();
    ASSERT_TRUE(create("alice", "correct horse"));
    accounts::password_hasher slow(
        {.memory_bytes = 8u << 20, .passes = 4, .at_once = 1, .queue_max = 8});
    user_directory users(*store_, slow, clock_, random_, engine_.executor(), 2);
    ASSERT_TRUE(engine_.run(users.start()).has_value());
    const auto attempt = [&](const std::string& login, const std::string& password) {
        return boost::asio::co_spawn(engine_.executor(),
                                     users.authenticate({login, password}, "ipv4:127.0.0.1"),
                                     boost::asio::use_future);
    };
    ASSERT_TRUE(attempt("alice", "correct horse").get());
    clock_.advance(std::chrono::minutes(5)); // the password is checked again
    std::vector<std::future<base::result<principal>>> flood;
    for (int i = 0; i < 30; ++i) {
        flood.push_back(attempt("nobody" + std::to_string(i), "guess"));
    }
    EXPECT_TRUE(attempt("alice", "correct horse").get());
    for (auto& one : flood) {
        (void)one.get();
    }
    engine_.run(users.stop());
    slow.stop();
}

// Their share is their own, but a small one: two sources leave room for a third.
TEST_F(user_directory_test, passwords_that_matched_before_do_not_fill_the_line) {
    open();
    constexpr int users_count = 10;
    const auto name = [](int i) { return "alice" + std::to_string(i); };
    for (int i = 0; i < users_count; ++i) {
        ASSERT_TRUE(create(name(i), "correct horse"));
    }
    ASSERT_TRUE(create("mallory", "correct horse"));
    accounts::password_hasher slow(
        {.memory_bytes = 8u << 20, .passes = 16, .at_once = 1, .queue_max = 32});
    user_directory users(*store_, slow, clock_, random_, engine_.executor(), 8);
    ASSERT_TRUE(engine_.run(users.start()).has_value());
    const auto attempt = [&](const std::string& login, const std::string& source) {
        return boost::asio::co_spawn(engine_.executor(),
                                     users.authenticate({login, "correct horse"}, source),
                                     boost::asio::use_future);
    };
    for (int i = 0; i < users_count; ++i) {
        ASSERT_TRUE(attempt(name(i), "a").get());
    }
    ASSERT_TRUE(attempt("mallory", "a").get());
    ASSERT_TRUE(engine_.run(users.set_disabled("mallory", true)).has_value());
    clock_.advance(std::chrono::minutes(5)); // passwords are checked again
    std::vector<std::future<base::result<principal>>> guesses;
    for (int i = 0; i < 8; ++i) { // what comes later waits behind them
        guesses.push_back(attempt("nobody" + std::to_string(i), "a"));
    }
    auto guess = attempt("mallory", "a");
    std::vector<std::future<base::result<principal>>> proven;
    for (int i = 0; i < users_count; ++i) {
        proven.push_back(attempt(name(i), "a"));
    }
    const auto disabled = guess.get();
    ASSERT_FALSE(disabled);
    EXPECT_EQ(disabled.error().code, base::errc::rate_limited) << "one guess more";
    std::size_t refused = 0;
    for (auto& one : proven) {
        const auto who = one.get();
        refused += !who && who.error().code == base::errc::rate_limited ? 1 : 0;
    }
    EXPECT_GE(refused, 5u) << "of the ten two are hashed at once";
    for (auto& one : guesses) {
        (void)one.get();
    }
    engine_.run(users.stop());
    slow.stop();
}

TEST_F(user_directory_test, equal_checks_of_a_password_that_matched_before_cost_one_hash) {
    open();
    ASSERT_TRUE(create("alice", "correct horse"));
    accounts::password_hasher slow(
        {.memory_bytes = 8u << 20, .passes = 4, .at_once = 1, .queue_max = 2});
    user_directory users(*store_, slow, clock_, random_, engine_.executor(), 4);
    ASSERT_TRUE(engine_.run(users.start()).has_value());
    const auto attempt = [&](const std::string& password) {
        return boost::asio::co_spawn(engine_.executor(),
                                     users.authenticate({"alice", password}, "a"),
                                     boost::asio::use_future);
    };
    ASSERT_TRUE(attempt("correct horse").get());
    clock_.advance(std::chrono::minutes(5)); // the password is checked again
    std::vector<std::future<base::result<principal>>> equal;
    for (int i = 0; i < 40; ++i) {
        equal.push_back(attempt("correct horse"));
    }
    EXPECT_EQ(code_of(attempt("wrong").get()), errc::unauthenticated) << "it waits for nobody else";
    for (auto& one : equal) {
        EXPECT_TRUE(one.get());
    }
    ASSERT_TRUE(engine_.run(users.reset_password("alice", "another horse")));
    EXPECT_FALSE(attempt("correct horse").get());
    engine_.run(users.stop());
    slow.stop();
}

TEST_F(user_directory_test, changes_made_by_another_process_arrive) {
    open();
    ASSERT_TRUE(create("alice", "correct horse").has_value());
    user_directory other(*store_, hasher_, clock_, random_, engine_.executor());
    ASSERT_TRUE(engine_.run(other.start()).has_value());
    ASSERT_TRUE(engine_.run(other.update("alice", "Alice", {"writers"}, "")).has_value());
    for (int i = 0; i < 500 && users_->find("alice")->full_name.empty(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_EQ(users_->find("alice")->full_name, "Alice");
    // The one that was behind is told so instead of overwriting.
    engine_.run(other.stop());
}

TEST_F(user_directory_test, what_is_wrong_is_named) {
    open();
    EXPECT_EQ(create("", "correct horse").error().field, "login_name");
    EXPECT_EQ(create("a/b", "correct horse").error().field, "login_name");
    EXPECT_EQ(create("\xff", "correct horse").error().field, "login_name");
    EXPECT_EQ(create("Ünal", "correct horse").error().field, "login_name");
    for (const char* login : {"佐々木", "ユーザー", "李花", "韩立", "ünal"}) {
        EXPECT_TRUE(create(login, "correct horse")) << login;
        EXPECT_TRUE(log_in(login, "correct horse")) << login;
    }
    EXPECT_EQ(create("alice", "short").error().field, "password");
    EXPECT_EQ(create("alice", "correct horse", {""}).error().field, "groups");
    EXPECT_EQ(code_of(engine_.run(users_->update("nobody", "", {}, ""))), errc::not_found);
}

TEST_F(user_directory_test, no_secret_is_readable_in_the_streams) {
    const auto password = open();
    auto page = engine_.run(store_->read_all({0}, eventstore::direction::forwards, 1000));
    ASSERT_TRUE(page.has_value());
    for (const auto& event : page->events) {
        EXPECT_EQ(event.data.find(*password), std::string::npos);
    }
}

TEST(credentials, what_is_read_and_what_is_refused) {
    const auto good = parse_basic_credentials("Basic YWRtaW46cGE6c3M="); // admin:pa:ss
    ASSERT_TRUE(good.has_value());
    EXPECT_EQ(good->login, "admin");
    EXPECT_EQ(good->password, "pa:ss");
    EXPECT_TRUE(parse_basic_credentials("basic YWRtaW46cGE6c3M=").has_value());
    for (const std::string& bad : {std::string(), std::string("Basic "), std::string("Bearer abc"),
                                   std::string("Basic !!!!"), std::string("Basic YWRtaW4="),
                                   std::string("Basic OnB3"), std::string(5000, 'B')}) {
        EXPECT_FALSE(parse_basic_credentials(bad).has_value()) << bad.substr(0, 20);
    }
}

} // namespace
} // namespace immortal::esdb
