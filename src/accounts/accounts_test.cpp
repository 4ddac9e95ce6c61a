#include "accounts/test_support.hpp"

#include <gmock/gmock.h>

namespace immortal::accounts {

using base::errc;
using namespace std::chrono_literals;

namespace {

class accounts_test : public accounts_fixture {
protected:
    accounts_test() { open(); }
};

TEST_F(accounts_test, a_user_registers_logs_in_and_out) {
    const auto made = sign_up("凌风子");
    ASSERT_TRUE(made) << made.error().message;
    const auto session = log_in("凌风子");
    ASSERT_TRUE(session) << session.error().message;
    EXPECT_EQ(session->user_id, made->user_id);
    EXPECT_EQ(session->token.size(), 64u);
    EXPECT_EQ(session->expires_at, clock_.now() + 12h);
    const auto who = whose(session->token);
    ASSERT_TRUE(who);
    EXPECT_EQ(who->username, "凌风子");
    EXPECT_EQ(who->rank, role::player);
    const auto mine = engine_.run(service_->me(*who)).value();
    EXPECT_EQ(mine.last_login_at, clock_.now());
    EXPECT_EQ(mine.sessions, 1u);
    EXPECT_TRUE(engine_.run(service_->log_out(*who)));
    EXPECT_EQ(code_of(whose(session->token)), errc::unauthenticated);
    EXPECT_TRUE(engine_.run(service_->log_out(*who))); // again changes nothing
}

TEST_F(accounts_test, names_and_addresses_are_taken_in_any_case) {
    const auto add = [&](std::string name, std::string email) {
        return engine_.run(service_->register_user(name, email, good, "10.0.0.9"));
    };
    ASSERT_TRUE(add("LiXiao", "Li@Example.org"));
    const auto name = add("lixiao", "other@example.org");
    EXPECT_EQ(code_of(name), errc::already_exists);
    EXPECT_EQ(name.error().field, "username");
    const auto email = add("someone", "li@example.ORG");
    EXPECT_EQ(code_of(email), errc::already_exists);
    EXPECT_EQ(email.error().field, "email");
    EXPECT_TRUE(log_in("LIXIAO"));
    EXPECT_TRUE(log_in("LI@example.org"));
}

TEST_F(accounts_test, two_who_want_one_name_at_once_do_not_both_get_it) {
    options_.registrations_per_hour = 0;
    open();
    std::vector<std::future<base::result<registration>>> calls;
    for (int i = 0; i < 8; ++i) {
        calls.push_back(boost::asio::co_spawn(
            engine_.executor(),
            service_->register_user("wanted", "w" + std::to_string(i) + "@ex.org", good,
                                    "10.0.0.1"),
            boost::asio::use_future));
    }
    int made = 0;
    for (auto& call : calls) {
        const auto got = call.get();
        made += got ? 1 : 0;
        EXPECT_TRUE(got || got.error().field == "username");
    }
    EXPECT_EQ(made, 1);
}

TEST_F(accounts_test, bad_input_names_its_field) {
    const auto field = [&](std::string name, std::string email, std::string password) {
        const auto got = engine_.run(service_->register_user(name, email, password, "10.0.0.1"));
        EXPECT_FALSE(got);
        EXPECT_EQ(code_of(got), errc::invalid_argument);
        return got.error().field;
    };
    EXPECT_EQ(field("x", "a@b.cd", good), "username");
    EXPECT_EQ(field("abc", "nobody", good), "email");
    EXPECT_EQ(field("abc", "a@b.cd", "password"), "password");
    EXPECT_EQ(field(std::string("ab\0c", 4), "a@b.cd", good), "username");
}

TEST_F(accounts_test, a_repeated_registration_finds_the_first) {
    const auto first = sign_up("repeater", "key-1");
    ASSERT_TRUE(first);
    const auto again = sign_up("repeater", "key-1");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->user_id, first->user_id);
    EXPECT_TRUE(again->repeated);
    EXPECT_EQ(code_of(sign_up("repeater", "key-1", "another-password-x")), errc::mismatch);
    EXPECT_EQ(code_of(engine_.run(
                  service_->register_user("repeater", "x@y.org", good, "10.0.0.1", "key-1"))),
              errc::mismatch);
    EXPECT_EQ(code_of(sign_up("repeater", "key-2")), errc::already_exists);
    EXPECT_EQ(code_of(sign_up("other", std::string(256, 'k'))), errc::invalid_argument);
}

TEST_F(accounts_test, unknown_names_and_wrong_passwords_look_alike) {
    ASSERT_TRUE(sign_up("known-user"));
    const auto unknown = log_in("unknown-user", "wrong");
    const auto wrong = log_in("known-user", "wrong");
    ASSERT_FALSE(unknown);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(code_of(unknown), errc::unauthenticated);
    EXPECT_EQ(unknown.error().message, wrong.error().message);
    EXPECT_EQ(unknown.error().reason, wrong.error().reason);
    for (const auto& name :
         {std::string(), std::string("a\0b", 3), std::string("\xff"), std::string(5000, 'x')}) {
        EXPECT_EQ(code_of(log_in(name, "wrong", name)), errc::unauthenticated);
    }
}

TEST_F(accounts_test, limits_come_before_hashing) {
    ASSERT_TRUE(sign_up("careful"));
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(code_of(log_in("careful", "wrong")), errc::unauthenticated);
    }
    const auto blocked = log_in("careful"); // even with the right one
    ASSERT_FALSE(blocked);
    EXPECT_EQ(code_of(blocked), errc::rate_limited);
    EXPECT_EQ(blocked.error().retry_after_ms, 1000u);
    EXPECT_TRUE(log_in("careful", good, "10.0.0.2")); // not from elsewhere
    clock_.advance(1s);
    EXPECT_TRUE(log_in("careful"));
}

TEST_F(accounts_test, a_source_may_try_twenty_times_a_minute) {
    int tried = 0;
    for (; tried < 100; ++tried) {
        const auto got = log_in("user" + std::to_string(tried), "wrong");
        if (got.error().code == errc::rate_limited) {
            break;
        }
    }
    EXPECT_EQ(tried, 20);
    clock_.advance(3s);
    EXPECT_EQ(code_of(log_in("userx", "wrong")), errc::unauthenticated);
}

TEST_F(accounts_test, a_stranger_does_not_lock_the_owner_out) {
    options_.account_failures_free = 10;
    open();
    ASSERT_TRUE(sign_up("owner"));
    ASSERT_TRUE(log_in("owner"));
    for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(log_in("owner", "wrong", "10.1.0." + std::to_string(i)));
    }
    EXPECT_EQ(code_of(log_in("owner", "wrong", "10.2.0.1")), errc::rate_limited);
    EXPECT_TRUE(log_in("owner"));
}

TEST_F(accounts_test, registrations_of_a_source_are_limited) {
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(sign_up("many" + std::to_string(i)));
    }
    EXPECT_EQ(code_of(sign_up("many5")), errc::rate_limited);
    clock_.advance(12min);
    EXPECT_TRUE(sign_up("many5"));
}

TEST_F(accounts_test, a_changed_password_ends_the_other_sessions) {
    const auto here = signed_in("changer");
    const auto there = log_in("changer").value();
    ASSERT_TRUE(whose(there.token));
    const auto change = [&](std::string from, std::string to, std::string key = {}) {
        return engine_.run(service_->change_password(here, from, to, "10.0.0.1", key));
    };
    const auto wrong = change("wrong-password", "quiet-lotus-pond");
    EXPECT_EQ(code_of(wrong), errc::forbidden);
    EXPECT_EQ(wrong.error().field, "currentPassword");
    EXPECT_EQ(change(good, "short").error().field, "newPassword");
    ASSERT_TRUE(change(good, "quiet-lotus-pond", "k1"));
    EXPECT_EQ(code_of(whose(there.token)), errc::unauthenticated);
    EXPECT_EQ(engine_.run(service_->me(here))->sessions, 1u); // the one that asked
    EXPECT_FALSE(log_in("changer"));
    EXPECT_TRUE(log_in("changer", "quiet-lotus-pond"));
    EXPECT_TRUE(change(good, "quiet-lotus-pond", "k1")); // a retry
    EXPECT_EQ(code_of(change(good, "third-lotus-pond", "k1")), errc::mismatch);
}

TEST_F(accounts_test, an_erased_account_leaves_a_pseudonym) {
    const auto who = signed_in("forgetme");
    const auto token = log_in("forgetme").value().token;
    ASSERT_TRUE(engine_.run(service_->erase(who)));
    ASSERT_TRUE(engine_.run(service_->erase(who)));
    EXPECT_EQ(code_of(whose(token)), errc::unauthenticated);
    EXPECT_EQ(code_of(log_in("forgetme")), errc::unauthenticated);
    EXPECT_EQ(code_of(engine_.run(service_->me(who))), errc::unauthenticated);
    EXPECT_EQ(scratch_.execute("SELECT count(*) FROM users WHERE username = 'forgetme'"
                               " OR email LIKE '%ex.org' OR password_hash <> '!'"),
              "0");
    EXPECT_EQ(scratch_.execute("SELECT id FROM users"), who.user_id.text());
    EXPECT_TRUE(sign_up("forgetme")); // the name is free again
}

TEST_F(accounts_test, an_erasure_is_pending_until_its_players_are_done) {
    const auto who = signed_in("forgetme");
    const auto other = signed_in("stays");
    ASSERT_TRUE(engine_.run(service_->erase(who)));
    stop();
    open(); // it survives a restart
    for (int i = 0; i < 2; ++i) {
        const auto pending = engine_.run(service_->pending_erasures());
        ASSERT_EQ(pending->size(), 1u);
        EXPECT_EQ(pending->front().user_id, who.user_id);
        ASSERT_TRUE(engine_.run(service_->erase(who))); // again: nothing changes
    }
    ASSERT_TRUE(engine_.run(service_->finish_erasure(other.user_id))); // never asked for
    ASSERT_TRUE(engine_.run(service_->finish_erasure(who.user_id)));
    ASSERT_TRUE(engine_.run(service_->finish_erasure(who.user_id)));
    EXPECT_TRUE(engine_.run(service_->pending_erasures())->empty());
    EXPECT_EQ(scratch_.execute("SELECT count(*) FROM users WHERE erasure_finished_at IS NOT NULL"),
              "1");
}

TEST_F(accounts_test, a_role_counts_from_the_next_log_in) {
    const auto who = signed_in("overseer");
    const auto before = log_in("overseer").value().token;
    EXPECT_EQ(code_of(engine_.run(service_->set_role("nobody", role::gm))), errc::not_found);
    ASSERT_TRUE(engine_.run(service_->set_role("OVERSEER", role::admin)));
    EXPECT_FALSE(whose(before));
    const auto after = log_in("overseer").value();
    EXPECT_EQ(whose(after.token)->rank, role::admin);
    EXPECT_EQ(after.expires_at, clock_.now() + 8h);
}

TEST_F(accounts_test, hashes_are_renewed_when_the_parameters_change) {
    ASSERT_TRUE(sign_up("renewed"));
    options_.hash_passes = 3;
    open();
    ASSERT_TRUE(log_in("renewed"));
    EXPECT_NE(scratch_.execute("SELECT password_hash FROM users").find("t=3,"), std::string::npos);
    EXPECT_TRUE(log_in("renewed"));
}

TEST_F(accounts_test, everything_is_audited_without_secrets) {
    const auto who = signed_in("watched");
    (void)log_in("watched", "secret-wrong");
    (void)engine_.run(service_->change_password(who, good, "quiet-lotus-pond", "10.0.0.1"));
    (void)engine_.run(service_->log_out(who));
    (void)engine_.run(service_->erase(who));
    EXPECT_THAT(audited(), testing::ElementsAre("UserRegistered", "UserLoggedIn", "UserLogInFailed",
                                                "PasswordChanged", "UserLoggedOut", "UserErased"));
    EXPECT_NE(audit_text_.find(who.user_id.text()), std::string::npos);
    for (const auto* secret :
         {good, "quiet-lotus", "secret-wrong", "watched", "ex.org", "10.0.0"}) {
        EXPECT_EQ(audit_text_.find(secret), std::string::npos) << secret;
    }
}

TEST_F(accounts_test, nothing_in_the_tables_is_a_password_or_a_token) {
    const auto made = sign_up("keeper", "key");
    ASSERT_TRUE(made);
    const auto token = log_in("keeper").value().token;
    const std::string all =
        scratch_.execute("SELECT string_agg(t, ' ') FROM (SELECT users::text FROM users UNION ALL"
                         " SELECT sessions::text FROM sessions UNION ALL"
                         " SELECT account_requests::text FROM account_requests) x(t)");
    EXPECT_NE(all.find("$argon2id$"), std::string::npos);
    EXPECT_EQ(all.find(good), std::string::npos);
    EXPECT_EQ(all.find(token), std::string::npos);
}

} // namespace
} // namespace immortal::accounts
