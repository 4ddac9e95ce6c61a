#include "accounts/password_hasher.hpp"
#include "app/store_password.hpp"
#include "esdb/user_directory.hpp"
#include "eventstore/memory_store.hpp"

#include <gtest/gtest.h>

namespace immortal::app {
namespace {

class store_password_test : public testing::Test {
protected:
    store_password_test() { engine_.start(); }
    ~store_password_test() override { engine_.stop(); }

    base::result<given_password> give(std::string login,
                                      unknown_user policy = unknown_user::refuse) {
        return give_password(engine_, *store_, clock_, random_, std::move(login), policy);
    }
    // As the next start of the server would find it.
    template <typename Work>
    auto with_users(Work work) {
        accounts::password_hasher hasher(
            {.memory_bytes = 8192, .passes = 1, .at_once = 1, .queue_max = 8});
        esdb::user_directory users(*store_, hasher, clock_, random_, engine_.executor());
        auto first = engine_.run(users.start());
        EXPECT_TRUE(first.has_value());
        auto out = work(users, first ? *first : std::nullopt);
        engine_.run(users.stop());
        hasher.stop();
        return out;
    }
    bool is_let_in(const esdb::first_user& user, const std::string& group) {
        return with_users([&](esdb::user_directory& users, const auto&) {
            const auto who = engine_.run(users.authenticate({user.login, user.password}, "here"));
            return who && who->has_role(group);
        });
    }

    base::manual_clock clock_{base::utc_time(std::chrono::hours(500'000))};
    base::seeded_random random_{7};
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    runtime::engine engine_{{}};
};

TEST_F(store_password_test, a_lost_first_password_is_replaced) {
    const auto lost = with_users([](auto&, const auto& first) { return first.value(); });
    const auto given = give("admin");
    ASSERT_TRUE(given) << given.error().message;
    EXPECT_FALSE(given->is_new);
    EXPECT_TRUE(is_let_in(given->user, "$admins"));
    EXPECT_FALSE(is_let_in(lost, "$admins"));
}

TEST_F(store_password_test, a_disabled_user_is_let_in_again_with_its_groups) {
    with_users([&](esdb::user_directory& users, const auto&) {
        esdb::user_record user;
        user.login_name = "li";
        user.groups = {"$ops"};
        EXPECT_TRUE(engine_.run(users.create(user, "seven mysteries")));
        return engine_.run(users.set_disabled("li", true)).has_value();
    });
    const auto given = give("li");
    ASSERT_TRUE(given) << given.error().message;
    EXPECT_TRUE(is_let_in(given->user, "$ops"));
    EXPECT_FALSE(is_let_in(given->user, "$admins"));
}

TEST_F(store_password_test, nobody_is_made_but_the_one_who_was_named) {
    const auto given = give("li", unknown_user::make_administrator);
    ASSERT_TRUE(given) << given.error().message;
    with_users([&](esdb::user_directory& users, const auto& first) {
        EXPECT_FALSE(first) << "there is an administrator whose password was shown";
        EXPECT_EQ(users.all().size(), 1u);
        return true;
    });
    EXPECT_TRUE(is_let_in(given->user, "$admins"));
}

// The start that finds no administrator makes one, and shows its password.
TEST_F(store_password_test, the_first_administrator_is_left_to_the_start) {
    with_users([&](esdb::user_directory& users, const auto&) {
        esdb::user_record user;
        user.login_name = "li";
        user.groups = {"$ops"};
        EXPECT_TRUE(engine_.run(users.create(user, "seven mysteries")));
        return true;
    });
    std::vector<eventstore::stream_write> writes(1);
    writes[0].stream = esdb::user_stream("admin");
    writes[0].what = eventstore::stream_write::action::tombstone;
    ASSERT_TRUE(engine_.run(store_->append(std::move(writes))));
    ASSERT_TRUE(give("li"));
    const auto first = with_users([](auto&, const auto& made) { return made; });
    ASSERT_TRUE(first) << "made before, and its password was shown to nobody";
    EXPECT_TRUE(is_let_in(*first, "$admins"));
}

// Otherwise a failure in between leaves a password that was changed and never shown.
TEST_F(store_password_test, a_user_is_enabled_with_the_same_write) {
    with_users([&](esdb::user_directory& users, const auto&) {
        return engine_.run(users.set_disabled("admin", true)).has_value();
    });
    const auto last_revision = [&] {
        const auto page = engine_.run(store_->read_stream(esdb::user_stream("admin"), {},
                                                          eventstore::direction::forwards, 16));
        return page->last->value;
    };
    const auto before = last_revision();
    const auto given = give("admin");
    ASSERT_TRUE(given) << given.error().message;
    EXPECT_EQ(last_revision(), before + 1);
    EXPECT_TRUE(is_let_in(given->user, "$admins"));
}

TEST_F(store_password_test, an_administrator_is_made_where_there_is_none) {
    EXPECT_EQ(give("admin").error().code, base::errc::not_found) << "a name may be a slip";
    const auto first = give("admin", unknown_user::make_administrator); // nobody yet
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_TRUE(first->is_new);
    EXPECT_TRUE(is_let_in(first->user, "$admins"));
    const auto other = give("li", unknown_user::make_administrator);
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_TRUE(other->is_new);
    EXPECT_TRUE(is_let_in(other->user, "$admins"));
    EXPECT_EQ(give("no name").error().code, base::errc::invalid_argument);
}

} // namespace
} // namespace immortal::app
