#include "postgres/sqlstate.hpp"
#include "postgres/test_support.hpp"

namespace immortal::postgres {

using base::errc;

namespace {

class migrate_test : public postgres_test {
protected:
    migrate_test() { open(); }
    base::status apply(const std::vector<migration>& list) {
        return engine_.run(migrate(*db_, list));
    }

    const migration one_{1, "0001_first.sql",
                         "CREATE TABLE a (n int); INSERT INTO a VALUES (1);"
                         "CREATE VIEW v AS SELECT n FROM a"};
    const migration two_{2, "0002_second.sql",
                         "ALTER TABLE a ADD m int DEFAULT 5; -- 修\n"
                         "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 7'"};
};

TEST_F(migrate_test, applies_each_file_once) {
    ASSERT_TRUE(apply({one_}));
    ASSERT_TRUE(apply({one_, two_}));
    ASSERT_TRUE(apply({one_, two_}));
    EXPECT_EQ(number({"SELECT m + f() FROM a"}), 12);
    EXPECT_EQ(number({"SELECT count(*) FROM schema_migrations"}), 2);
}

TEST_F(migrate_test, refuses_a_changed_file_by_name) {
    ASSERT_TRUE(apply({one_}));
    auto changed = one_;
    changed.text = "CREATE TABLE a (n bigint)";
    const auto got = apply({changed, two_});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, errc::mismatch);
    EXPECT_NE(got.error().message.find("0001_first.sql"), std::string::npos);
    EXPECT_EQ(number({"SELECT count(*) FROM schema_migrations"}), 1);
}

TEST_F(migrate_test, refuses_a_missing_file_by_name) {
    ASSERT_TRUE(apply({one_, two_}));
    const auto got = apply({one_});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, errc::mismatch);
    EXPECT_NE(got.error().message.find("0002_second.sql"), std::string::npos);
}

TEST_F(migrate_test, refuses_a_file_slipped_in_before_an_applied_one) {
    ASSERT_TRUE(
        apply({two_.number == 2 ? migration{2, "0002_alone.sql", "CREATE TABLE b ()"} : two_}));
    EXPECT_EQ(apply({one_, {2, "0002_alone.sql", "CREATE TABLE b ()"}}).error().code,
              errc::mismatch);
    EXPECT_EQ(apply({two_, one_}).error().code, errc::invalid_argument);
}

TEST_F(migrate_test, a_failing_file_leaves_nothing) {
    const auto got = apply({one_, {2, "0002_broken.sql", "CREATE TABLE b (); SELECT 1/0"}});
    ASSERT_FALSE(got);
    EXPECT_NE(got.error().message.find("0002_broken.sql"), std::string::npos);
    EXPECT_EQ(number({"SELECT count(*) FROM schema_migrations"}), 1);
    EXPECT_EQ(number({"SELECT count(*) FROM pg_tables WHERE tablename = 'b'"}), 0);
    EXPECT_TRUE(apply({one_, two_}));
}

// Neither the table of the migrations nor one of a migration.
TEST_F(migrate_test, a_role_without_rights_is_told_so) {
    const std::string role = scratch_.execute("SELECT current_database()") + "_role";
    scratch_.execute("CREATE ROLE " + role + " LOGIN");
    engine_.run(db_->stop());
    settings limited = defaults();
    limited.uri += " user='" + role + "'";
    open(limited);
    testing::internal::CaptureStderr();
    const auto refused = apply({one_});
    const std::string said = testing::internal::GetCapturedStderr();
    scratch_.execute("CREATE TABLE schema_migrations (number integer PRIMARY KEY, name text NOT "
                     "NULL, digest text NOT NULL, applied_at timestamptz NOT NULL)");
    scratch_.execute("GRANT ALL ON schema_migrations TO " + role);
    const auto refused_later = apply({one_});
    scratch_.execute("GRANT CREATE ON SCHEMA public TO " + role);
    const auto granted = apply({one_});
    scratch_.execute("DROP OWNED BY " + role);
    scratch_.execute("DROP ROLE " + role);
    for (const auto& each : {refused, refused_later}) {
        ASSERT_FALSE(each);
        EXPECT_EQ(each.error().reason, missing_right) << each.error().message;
    }
    EXPECT_TRUE(granted) << granted.error().message;
    EXPECT_NE(said.find("42501"), std::string::npos) << said;
}

TEST_F(migrate_test, several_processes_may_start_at_once) {
    const std::vector<migration> list{one_, two_};
    std::vector<std::future<base::status>> starts;
    for (int i = 0; i < 6; ++i) {
        starts.push_back(boost::asio::co_spawn(engine_.executor(), migrate(*db_, list),
                                               boost::asio::use_future));
    }
    for (auto& start : starts) {
        const auto got = start.get();
        EXPECT_TRUE(got) << got.error().message;
    }
    EXPECT_EQ(number({"SELECT count(*) FROM schema_migrations"}), 2);
}

} // namespace
} // namespace immortal::postgres
