// The server goes away, hangs, or ends sessions, before and after COMMIT.
#include "postgres/connection.hpp"
#include "postgres/test_support.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>
#include <sys/un.h>

namespace immortal::postgres {

using base::errc;

namespace {

using faults_test = postgres_test;

TEST_F(faults_test, an_absent_server_fails_calls_at_once) {
    settings options = defaults();
    options.uri = "postgresql://immortal@/postgres?host=/nowhere";
    open(options);
    EXPECT_EQ(run({"SELECT 1"}).error().code, errc::unavailable);
    EXPECT_EQ(engine_.run(db_->begin()).error().code, errc::unavailable);
    EXPECT_FALSE(db_->available());
}

TEST_F(faults_test, a_server_that_lets_nobody_in_is_found_when_it_does) {
    const std::string role = "guest_" + std::to_string(::getpid());
    scratch_.execute("CREATE ROLE " + role + " NOLOGIN");
    settings options = defaults();
    options.uri += " user=" + role; // the last one counts
    open(options);
    EXPECT_EQ(run({"SELECT 1"}).error().code, errc::unavailable);
    EXPECT_FALSE(db_->available());
    scratch_.execute("ALTER ROLE " + role + " LOGIN");
    base::result<rows> got;
    do {
        got = run({"SELECT 1"});
    } while (!got && got.error().code == errc::unavailable);
    EXPECT_TRUE(got);
    EXPECT_TRUE(db_->available());
    engine_.run(db_->stop());
    scratch_.execute("DROP ROLE " + role);
}

// A role with which a test is let in, or is not.
class guest {
public:
    explicit guest(const scratch_database& server)
        : server_(server), name_("guest_" + std::to_string(::getpid())) {
        server_.execute("CREATE ROLE " + name_ + " LOGIN");
    }
    ~guest() { server_.execute("DROP ROLE " + name_); }
    guest(const guest&) = delete;
    guest& operator=(const guest&) = delete;
    void shut_out() { server_.execute("ALTER ROLE " + name_ + " NOLOGIN"); }
    [[nodiscard]] std::string uri() const { return server_.uri() + " user=" + name_; }

private:
    const scratch_database& server_;
    std::string name_;
};

TEST_F(faults_test, a_surviving_session_shows_that_the_server_is_there) {
    guest visitor(scratch_);
    settings options = defaults();
    options.uri = visitor.uri();
    options.connections_max = 2;
    open(options);
    auto block = begin();
    ASSERT_TRUE(engine_.run(block->run({"SELECT 1"})));
    visitor.shut_out(); // those who are in may stay
    EXPECT_EQ(run({"SELECT 1"}).error().code, errc::unavailable);
    EXPECT_FALSE(db_->available());
    ASSERT_TRUE(engine_.run(block->run({"SELECT 1"})));
    EXPECT_TRUE(db_->available());
    ASSERT_TRUE(engine_.run(block->commit()));
    block.reset();
    EXPECT_EQ(number({"SELECT 1"}), 1);
    EXPECT_TRUE(db_->available());
    engine_.run(db_->stop());
}

// Nothing was sent on the session that was taken: it says nothing about the server.
TEST_F(faults_test, a_session_without_an_answer_shows_nothing) {
    guest visitor(scratch_);
    settings options = defaults();
    options.uri = visitor.uri();
    options.connections_max = 2;
    open(options);
    auto block = begin();
    visitor.shut_out();
    EXPECT_EQ(run({"SELECT 1"}).error().code, errc::unavailable);
    EXPECT_TRUE(engine_.run(block->commit()));
    block.reset();
    EXPECT_FALSE(db_->available());
    engine_.run(db_->stop());
}

TEST_F(faults_test, why_no_session_comes_about_is_told) {
    guest visitor(scratch_);
    visitor.shut_out();
    settings options = defaults();
    options.uri = visitor.uri();
    open(options);
    for (int i = 0; i < 3; ++i) { // also while no attempt is made
        EXPECT_EQ(run({"SELECT 1"}).error().reason, refused_role);
    }
    engine_.run(db_->stop());

    options.uri = defaults().uri + " dbname=nowhere";
    open(options);
    for (int i = 0; i < 3; ++i) {
        const auto got = run({"SELECT 1"});
        EXPECT_EQ(got.error().code, errc::unavailable);
        EXPECT_EQ(got.error().reason, absent_database);
    }
}

TEST(refusal_of_session, knows_the_sqlstate_in_libpqs_text) {
    const std::string begin = "connection to server at \"::1\", port 5432 failed: ";
    const auto reason = [&](const std::string& text) {
        const base::error told = refusal_of_session(begin + text);
        EXPECT_EQ(told.code, errc::unavailable) << text;
        return told.reason;
    };
    EXPECT_EQ(reason("FATAL:  28P01: password authentication failed for user \"li\"\n"),
              wrong_password);
    EXPECT_EQ(reason("FATAL:  28000: role \"li\" does not exist\n"), refused_role);
    EXPECT_EQ(reason("FATAL:  42501: permission denied for database \"a\"\n"), refused_role);
    EXPECT_EQ(reason("VERHÄNGNIS:  3D000: Datenbank »a« existiert nicht\nLOCATION:  x\n"),
              absent_database);
    EXPECT_EQ(reason("FATAL:  57P03: the database system is starting up\n"), "");
    EXPECT_EQ(reason("FATAL:  XX000: a defect\n"), "");
    EXPECT_EQ(reason("Connection refused\n"), "");
    EXPECT_EQ(reason("FATAL:  28P0"), "");
    EXPECT_EQ(reason("FATAL:  28000: role\n" + begin + "FATAL:  3D000: nowhere\n"),
              absent_database);
}

TEST_F(faults_test, killed_idle_sessions_are_replaced_without_an_error) {
    open();
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(number({"SELECT 1"}), 1);
        kill_sessions();
    }
    EXPECT_EQ(number({"SELECT 1"}), 1);
}

TEST_F(faults_test, a_session_killed_before_commit_did_nothing) {
    open();
    scratch_.execute("CREATE TABLE t (n int)");
    auto block = begin();
    ASSERT_TRUE(engine_.run(block->run({"INSERT INTO t VALUES (1)"})));
    kill_sessions();
    EXPECT_EQ(engine_.run(block->run({"SELECT 1"})).error().code, errc::unavailable);
    EXPECT_EQ(engine_.run(block->commit()).error().code, errc::unavailable);
    block.reset();
    EXPECT_EQ(number({"SELECT count(*) FROM t"}), 0);
}

TEST_F(faults_test, a_session_killed_in_a_statement_did_nothing) {
    open();
    scratch_.execute("CREATE TABLE t (n int)");
    std::vector<query> list;
    list.push_back({"INSERT INTO t VALUES (1)"});
    list.push_back({"SELECT pg_sleep(60)"});
    auto call = boost::asio::co_spawn(engine_.executor(), db_->run_all(std::move(list)),
                                      boost::asio::use_future);
    await_statement("%pg_sleep%");
    kill_sessions();
    EXPECT_EQ(call.get().error().code, errc::unavailable);
    EXPECT_EQ(number({"SELECT count(*) FROM t"}), 0);
}

// A deferred trigger sleeps inside COMMIT: the session dies while it commits, so nobody can know.
TEST_F(faults_test, a_session_killed_in_commit_is_an_unknown_outcome) {
    open();
    scratch_.execute("CREATE TABLE t (n int);"
                     "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
                     "$$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;"
                     "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY "
                     "DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()");
    auto block = begin();
    ASSERT_TRUE(engine_.run(block->run({"INSERT INTO t VALUES (1)"})));
    auto commit =
        boost::asio::co_spawn(engine_.executor(), block->commit(), boost::asio::use_future);
    await_statement("COMMIT");
    kill_sessions();
    EXPECT_EQ(commit.get().error().code, errc::unknown_outcome);
    block.reset();

    auto call = boost::asio::co_spawn(engine_.executor(), db_->run({"INSERT INTO t VALUES (2)"}),
                                      boost::asio::use_future);
    await_statement("INSERT%");
    kill_sessions();
    EXPECT_EQ(call.get().error().code, errc::unknown_outcome);
    EXPECT_EQ(number({"SELECT count(*) FROM t"}), 0);
}

// libpq closes its descriptor when it loses the session. Whoever gets the number next keeps it.
TEST_F(faults_test, a_lost_session_takes_no_descriptor_of_others_along) {
    namespace asio = boost::asio;
    const strand own = asio::make_strand(engine_.executor());
    auto lost = std::make_shared<connection>(own, defaults());
    ASSERT_TRUE(asio::co_spawn(own, lost->open(), asio::use_future).get());
    kill_sessions();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    EXPECT_TRUE(
        asio::co_spawn(own, lost->execute_once("SELECT 1", until), asio::use_future).get().lost);
    std::vector<asio::writable_pipe> writers;
    std::vector<asio::readable_pipe> readers;
    for (int i = 0; i < 8; ++i) {
        asio::connect_pipe(readers.emplace_back(engine_.executor()),
                           writers.emplace_back(engine_.executor()));
    }
    asio::post(own, asio::use_future([&lost] { lost.reset(); })).get();
    for (std::size_t i = 0; i < readers.size(); ++i) {
        char byte = 0;
        auto came = asio::async_read(readers[i], asio::buffer(&byte, 1), asio::use_future);
        asio::write(writers[i], asio::buffer("x", 1));
        ASSERT_EQ(came.wait_for(std::chrono::seconds(20)), std::future_status::ready) << i;
    }
}

TEST_F(faults_test, the_server_ends_statements_that_take_too_long) {
    auto options = defaults();
    options.statement_timeout = milliseconds(200);
    options.reply_grace = milliseconds(20000);
    open(options);
    EXPECT_EQ(run({"SELECT pg_sleep(60)"}).error().code, errc::timeout);
    EXPECT_EQ(scratch_.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
                               "query LIKE '%pg_sleep(60)' AND datname = current_database()"),
              "0");
    EXPECT_EQ(number({"SELECT 1"}), 1); // on the same session
}

TEST_F(faults_test, deadlocks_are_conflicts) {
    open();
    scratch_.execute(
        "CREATE TABLE t (n int PRIMARY KEY, m int); INSERT INTO t VALUES (1, 0), (2, 0)");
    auto one = begin();
    auto two = begin();
    ASSERT_TRUE(engine_.run(one->run({"UPDATE t SET m = 1 WHERE n = 1"})));
    ASSERT_TRUE(engine_.run(two->run({"UPDATE t SET m = 2 WHERE n = 2"})));
    auto first = boost::asio::co_spawn(
        engine_.executor(), one->run({"UPDATE t SET m = 1 WHERE n = 2"}), boost::asio::use_future);
    const auto second = engine_.run(two->run({"UPDATE t SET m = 2 WHERE n = 1"}));
    if (!second) {
        EXPECT_EQ(second.error().code, errc::conflict);
        two.reset();
        EXPECT_TRUE(first.get());
    } else {
        EXPECT_EQ(first.get().error().code, errc::conflict);
    }
}

// A server that accepts and never answers: every call ends by its deadline.
class silent_server {
public:
    silent_server() {
        char name[] = "/tmp/imq.XXXXXX";
        folder_ = ::mkdtemp(name);
        path_ = folder_ + "/.s.PGSQL.5432";
        socket_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::listen(socket_, 8);
    }
    ~silent_server() {
        ::close(socket_);
        ::unlink(path_.c_str());
        ::rmdir(folder_.c_str());
    }
    silent_server(const silent_server&) = delete;
    silent_server& operator=(const silent_server&) = delete;
    [[nodiscard]] std::string uri() const {
        return "host='" + folder_ + "' port=5432 user=nobody dbname=none";
    }

private:
    std::string folder_;
    std::string path_;
    int socket_;
};

TEST_F(faults_test, a_silent_server_costs_the_connect_timeout_once) {
    const silent_server silent;
    settings options = defaults();
    options.uri = silent.uri();
    options.connect_timeout = milliseconds(100);
    open(options);
    EXPECT_EQ(run({"SELECT 1"}).error().code, errc::unavailable);
    EXPECT_EQ(run({"SELECT 1"}).error().code, errc::unavailable);
}

TEST_F(faults_test, the_deadline_of_a_call_holds_on_this_side) {
    open();
    scratch_.execute("CREATE TABLE t (n int)");
    query slow{"INSERT INTO t SELECT 1 FROM pg_sleep(60)"};
    slow.timeout = milliseconds(300);
    const auto got = run(std::move(slow));
    EXPECT_EQ(got.error().code, errc::unknown_outcome); // it was sent
    auto block = begin();
    query within{"SELECT pg_sleep(60)"};
    within.timeout = milliseconds(300);
    EXPECT_EQ(engine_.run(block->run(std::move(within))).error().code, errc::timeout);
    kill_sessions();
}

// Nothing can have been done, so the caller need not find out.
TEST_F(faults_test, a_reading_has_no_unknown_outcome) {
    open();
    const auto slow = [] {
        query q = reading("SELECT pg_sleep(60)");
        q.timeout = milliseconds(300);
        return q;
    };
    EXPECT_EQ(run(slow()).error().code, errc::timeout);
    std::vector<query> two;
    two.push_back(reading("SELECT 1"));
    two.push_back(slow());
    EXPECT_EQ(run_all(std::move(two)).error().code, errc::timeout);
    kill_sessions();

    auto call = boost::asio::co_spawn(engine_.executor(), db_->run(reading("SELECT pg_sleep(61)")),
                                      boost::asio::use_future);
    await_statement("%pg_sleep(61)%");
    kill_sessions();
    EXPECT_EQ(call.get().error().code, errc::unavailable);

    std::vector<query> mixed;
    mixed.push_back(reading("SELECT 1"));
    mixed.push_back({"CREATE TABLE t (n int)"});
    mixed.push_back({"SELECT pg_sleep(60)"});
    mixed.back().timeout = milliseconds(300);
    EXPECT_EQ(run_all(std::move(mixed)).error().code, errc::unknown_outcome);
    kill_sessions();
}

TEST_F(faults_test, stop_ends_running_calls_and_refuses_new_ones) {
    open();
    auto call = boost::asio::co_spawn(engine_.executor(), db_->run({"SELECT pg_sleep(60)"}),
                                      boost::asio::use_future);
    await_statement("%pg_sleep%");
    engine_.run(db_->stop());
    EXPECT_EQ(call.get().error().code, errc::unknown_outcome);
    EXPECT_EQ(run({"SELECT 1"}).error().code, errc::cancelled);
    EXPECT_FALSE(engine_.run(db_->begin()));
}

TEST_F(faults_test, it_may_be_destroyed_while_calls_are_under_way) {
    open();
    auto call = boost::asio::co_spawn(engine_.executor(), db_->run({"SELECT pg_sleep(60)"}),
                                      boost::asio::use_future);
    await_statement("%pg_sleep%");
    db_.reset();
    EXPECT_FALSE(call.get());
}

} // namespace
} // namespace immortal::postgres
