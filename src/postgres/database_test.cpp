#include "postgres/sqlstate.hpp"
#include "postgres/test_support.hpp"

#include <gmock/gmock.h>

#include <numeric>

namespace immortal::postgres {

using base::errc;

namespace {

using database_test = postgres_test;

std::vector<query> list_of(auto... queries) {
    std::vector<query> out;
    (out.push_back(std::move(queries)), ...);
    return out;
}

TEST_F(database_test, values_of_every_type_come_back) {
    open();
    const auto id = *base::uuid::parse("0190c2f4-0000-7000-8000-000000000001");
    const base::utc_time time(std::chrono::microseconds(1'700'000'000'123'456));
    const auto got =
        run({"SELECT $1::text, $2::bigint, $3::double precision, $4::boolean, $5::uuid,"
             " $6::timestamptz, $7::bigint, $8::text, $9::int",
             arguments()
                 .add("修仙 '\"\\")
                 .add(std::int64_t{-5})
                 .add(0.1)
                 .add(true)
                 .add(id)
                 .add(time)
                 .add(base::position{42})
                 .add_null()
                 .add(std::int32_t{9})});
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->get<std::string>(0, 0), "修仙 '\"\\");
    EXPECT_EQ(got->get<std::int64_t>(0, 1), -5);
    EXPECT_EQ(got->get<double>(0, 2), 0.1);
    EXPECT_TRUE(got->get<bool>(0, 3));
    EXPECT_EQ(got->get<base::uuid>(0, 4), id);
    EXPECT_EQ(got->get<base::utc_time>(0, 5), time);
    EXPECT_EQ(got->get<base::position>(0, 6), base::position{42});
    EXPECT_EQ(got->get<std::optional<std::string>>(0, 7), std::nullopt);
    EXPECT_THROW((void)got->get<std::string>(0, 7), std::runtime_error);
    EXPECT_EQ(got->get<std::int32_t>(0, 8), 9);
    EXPECT_TRUE(db_->available());
}

// Only the log says which table it is; each statement is refused, not each is an entry.
TEST_F(database_test, what_a_role_may_not_do_is_logged) {
    settings limited = defaults();
    limited.uri += " options='-c role=pg_monitor'";
    open(limited);
    const auto begun = std::chrono::steady_clock::now();
    testing::internal::CaptureStderr();
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(run({"SELECT count(*) FROM pg_authid"}).error().reason, missing_right);
    }
    const std::string said = testing::internal::GetCapturedStderr();
    const auto spent = std::chrono::steady_clock::now() - begun;
    std::int64_t entries = 0;
    for (std::size_t place = said.find("pg_authid"); place != std::string::npos;
         place = said.find("pg_authid", place + 1)) {
        ++entries;
    }
    EXPECT_GE(entries, 1) << said;
    EXPECT_LE(entries, 1 + spent / std::chrono::seconds(1)) << said;
}

TEST_F(database_test, arrays_carry_awkward_elements) {
    open();
    const std::vector<std::optional<std::string>> texts{"a\"b", "c\\d",       "{},",
                                                        "NULL", std::nullopt, ""};
    const auto got = run({"SELECT t FROM unnest($1::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n",
                          arguments().add_array(texts)});
    ASSERT_TRUE(got) << got.error().message;
    ASSERT_EQ(got->size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(got->get<std::optional<std::string>>(i, 0), texts[i]);
    }
}

TEST_F(database_test, big_values_and_big_results_pass) {
    open();
    const std::string big(20u << 20, 'x'); // larger than every buffer on the way
    const auto got = run({"SELECT $1::text, length($1)", arguments().add(big)});
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->text(0, 0), big);
    const auto many = run({"SELECT n FROM generate_series(1, 200000) n"});
    ASSERT_TRUE(many);
    EXPECT_EQ(many->size(), 200000u);
}

// Both directions are full at once: a driver that writes without reading would stand still.
TEST_F(database_test, large_questions_with_large_answers_do_not_lock_up) {
    open();
    std::vector<query> list;
    const std::string big(1u << 20, 'y');
    for (int i = 0; i < 40; ++i) {
        list.push_back({"SELECT $1::text", arguments().add(big)});
    }
    const auto got = run_all(std::move(list));
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->back().text(0, 0).size(), big.size());
}

TEST_F(database_test, nul_bytes_are_refused_before_sending) {
    open();
    const auto got = run({"SELECT $1::text", arguments().add(std::string("a\0b", 3))});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, errc::invalid_argument);
    EXPECT_FALSE(db_->available()); // no connection was made
    EXPECT_EQ(run({"SELECT $1::text", arguments().add("\xff")}).error().code,
              errc::invalid_argument);
}

TEST_F(database_test, run_all_is_all_or_nothing) {
    open();
    scratch_.execute("CREATE TABLE t (n int CONSTRAINT n_unique UNIQUE)");
    const auto first =
        run_all(list_of(query{"INSERT INTO t VALUES (1)"}, query{"INSERT INTO t VALUES (2), (3)"},
                        query{"SELECT count(*) FROM t"}));
    ASSERT_TRUE(first) << first.error().message;
    ASSERT_EQ(first->size(), 3u);
    EXPECT_EQ((*first)[1].affected(), 2u);
    EXPECT_EQ((*first)[2].get<std::int64_t>(0, 0), 3);

    const auto second =
        run_all(list_of(query{"INSERT INTO t VALUES (4)"}, query{"INSERT INTO t VALUES (1)"}));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, errc::already_exists);
    EXPECT_EQ(second.error().reason, "n_unique");
    EXPECT_EQ(number({"SELECT count(*) FROM t"}), 3); // and the connection goes on
}

TEST_F(database_test, errors_found_at_commit_are_reported) {
    open();
    scratch_.execute("CREATE TABLE parent (n int PRIMARY KEY);"
                     "CREATE TABLE child (n int CONSTRAINT has_parent REFERENCES parent"
                     " DEFERRABLE INITIALLY DEFERRED)");
    for (int i = 0; i < 2; ++i) {
        const auto one = run({"INSERT INTO child VALUES (1)"});
        ASSERT_FALSE(one);
        EXPECT_EQ(one.error().code, errc::not_found);
        EXPECT_EQ(one.error().reason, "has_parent");
        EXPECT_EQ(run_all(list_of(query{"INSERT INTO child VALUES (1)"})).error().code,
                  errc::not_found);
        auto block = begin();
        ASSERT_TRUE(engine_.run(block->run({"INSERT INTO child VALUES (1)"})));
        EXPECT_EQ(engine_.run(block->commit()).error().code, errc::not_found);
    }
    EXPECT_EQ(number({"SELECT count(*) FROM child"}), 0);
}

TEST_F(database_test, errors_of_the_server_are_mapped) {
    open();
    scratch_.execute("CREATE TABLE t (n int NOT NULL CHECK (n > 0));"
                     "CREATE FUNCTION fence() RETURNS void LANGUAGE plpgsql AS "
                     "$$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = 'IM001'; END $$");
    EXPECT_EQ(run({"INSERT INTO t VALUES (0)"}).error().code, errc::invalid_argument);
    EXPECT_EQ(run({"INSERT INTO t VALUES (NULL)"}).error().code, errc::invalid_argument);
    EXPECT_EQ(run({"SELECT $1::int", arguments().add("x")}).error().code, errc::invalid_argument);
    EXPECT_EQ(run({"SELECT 1/0"}).error().code, errc::invalid_argument);
    EXPECT_EQ(run({"SELECT fence()"}).error().code, errc::conflict);
    EXPECT_EQ(run({"SELECT no_such_column"}).error().code, errc::internal);
    EXPECT_EQ(run({"COPY t TO STDOUT"}).error().code, errc::internal);
    EXPECT_EQ(number({"SELECT 1"}), 1);
}

TEST_F(database_test, a_changed_schema_costs_at_most_one_call) {
    open();
    scratch_.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    ASSERT_TRUE(run({"SELECT * FROM t"}));
    scratch_.execute("ALTER TABLE t ADD COLUMN m int");
    const auto after = run({"SELECT * FROM t"});
    EXPECT_TRUE(after || after.error().code == errc::unavailable);
    EXPECT_TRUE(run({"SELECT * FROM t"}));
}

TEST_F(database_test, transactions_commit_or_leave_nothing) {
    open();
    scratch_.execute("CREATE TABLE t (n int UNIQUE)");
    {
        auto block = begin();
        ASSERT_TRUE(engine_.run(block->run({"INSERT INTO t VALUES (1)"})));
        EXPECT_EQ(number({"SELECT count(*) FROM t"}), 0); // not yet visible to others
        EXPECT_TRUE(engine_.run(block->commit()));
        EXPECT_FALSE(engine_.run(block->run({"SELECT 1"})));
    }
    {
        auto block = begin();
        ASSERT_TRUE(engine_.run(block->run({"INSERT INTO t VALUES (2)"})));
    }
    {
        auto block = begin();
        ASSERT_TRUE(engine_.run(block->run({"INSERT INTO t VALUES (3)"})));
        EXPECT_EQ(engine_.run(block->run({"INSERT INTO t VALUES (1)"})).error().code,
                  errc::already_exists);
        EXPECT_EQ(engine_.run(block->commit()).error().code, errc::already_exists);
    }
    {
        auto unused = begin();
    }
    EXPECT_EQ(number({"SELECT sum(n) FROM t"}), 1);
}

TEST_F(database_test, serialization_failures_are_conflicts) {
    open();
    scratch_.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    auto one = begin();
    auto two = begin();
    for (auto* block : {one.get(), two.get()}) {
        ASSERT_TRUE(engine_.run(block->run_all(list_of(
            query{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"}, query{"SELECT n FROM t"}))));
    }
    ASSERT_TRUE(engine_.run(one->run({"UPDATE t SET n = 2"})));
    ASSERT_TRUE(engine_.run(one->commit()));
    EXPECT_EQ(engine_.run(two->run({"UPDATE t SET n = 3"})).error().code, errc::conflict);
}

TEST_F(database_test, bulk_rows_come_in_by_arrays) {
    open();
    scratch_.execute("CREATE TABLE t (id uuid, n bigint, name text, at timestamptz)");
    constexpr std::size_t count = 100'000;
    std::vector<base::uuid> ids;
    std::vector<std::int64_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::vector<std::string> names;
    for (const auto n : numbers) {
        names.push_back("修士" + std::to_string(n));
        ids.push_back(base::uuid::make_derived("bulk", names.back()));
    }
    const std::vector<base::utc_time> times(count, base::utc_time(std::chrono::seconds(1)));
    const auto begun = std::chrono::steady_clock::now();
    const auto done = run_all(list_of(
        query{"INSERT INTO t SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], "
              "$4::timestamptz[])",
              arguments().add_array(ids).add_array(numbers).add_array(names).add_array(times)}));
    const auto took =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    ASSERT_TRUE(done) << done.error().message;
    RecordProperty("rows_per_second", std::to_string(static_cast<int>(count / took)));
    std::printf("bulk insert: %.0f rows/s\n", count / took);
    EXPECT_EQ(number({"SELECT count(DISTINCT (id, n, name)) FROM t"}), count);
}

TEST_F(database_test, many_callers_share_few_connections) {
    auto options = defaults();
    options.connections_max = 3;
    open(options);
    std::vector<std::future<base::result<rows>>> calls;
    for (int i = 0; i < 500; ++i) {
        calls.push_back(boost::asio::co_spawn(engine_.executor(),
                                              db_->run({"SELECT $1::int", arguments().add(i)}),
                                              boost::asio::use_future));
    }
    for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(calls[static_cast<std::size_t>(i)].get().value().get<std::int32_t>(0, 0), i);
    }
    EXPECT_LE(number({"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"}),
              3);
}

TEST_F(database_test, a_full_pool_refuses_and_times_out) {
    auto options = defaults();
    options.connections_max = 1;
    options.waiting_max = 1;
    options.waiting_timeout = milliseconds(200);
    open(options);
    auto holder = begin();
    auto waits =
        boost::asio::co_spawn(engine_.executor(), db_->run({"SELECT 1"}), boost::asio::use_future);
    auto also =
        boost::asio::co_spawn(engine_.executor(), db_->run({"SELECT 1"}), boost::asio::use_future);
    const auto first = waits.get();
    const auto second = also.get();
    ASSERT_FALSE(first);
    ASSERT_FALSE(second);
    EXPECT_THAT((std::vector{first.error().code, second.error().code}),
                testing::UnorderedElementsAre(errc::timeout, errc::exhausted));
    holder.reset();
    EXPECT_EQ(number({"SELECT 1"}), 1); // a waiter who gave up left nothing behind
}

} // namespace
} // namespace immortal::postgres
