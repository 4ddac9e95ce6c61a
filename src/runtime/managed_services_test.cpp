// The managed PostgreSQL and Redis, with their real programs.
#include "runtime/cluster_claim.hpp"
#include "runtime/managed_postgres.hpp"
#include "runtime/managed_redis.hpp"
#include "runtime/process_testing.hpp"
#include "runtime/service_folders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

namespace immortal::runtime {
namespace {

using namespace testing_language;
using testing::HasSubstr;
using testing::StartsWith;

// One answer of one statement, "" if anything goes wrong.
std::string ask(const std::string& uri, const char* sql) {
    PGconn* c = PQconnectdb(uri.c_str());
    PGresult* r = PQexec(c, sql);
    std::string out;
    if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1) {
        out = PQgetvalue(r, 0, 0);
    }
    PQclear(r);
    PQfinish(c);
    return out;
}

// A cluster is made once and copied: initdb takes a second or two.
const fs::path& made_cluster() {
    static temporary_folder folder;
    static const bool made = [] {
        auto g = guardian::start().value();
        managed_postgres db(*g, {.data_folder = folder.path, .log_folder = folder.path});
        EXPECT_TRUE(db.begin().has_value());
        EXPECT_TRUE(db.wait_ready().has_value());
        db.stop();
        return true;
    }();
    EXPECT_TRUE(made);
    return folder.path;
}

void copy_cluster(const fs::path& to) {
    if (fs::exists(to / "postgres")) {
        return;
    }
    const std::string command =
        "cp -a " + (made_cluster() / "postgres").string() + " " + to.string();
    ASSERT_EQ(std::system(command.c_str()), 0);
}

class managed : public testing::Test {
protected:
    managed() { (void)made_cluster(); }
    managed_postgres::settings postgres() const {
        copy_cluster(data_);
        return {.data_folder = data_, .log_folder = data_};
    }
    managed_redis::settings redis() const {
        return {.data_folder = data_, .log_folder = data_, .probe_interval = 100ms};
    }

    // A server of its own, forked while this process has one thread (a sanitizer's demand).
    std::unique_ptr<forked_server> fork_server(const std::function<std::vector<pid_t>()>& body) {
        guardian_.reset();
        auto server = std::make_unique<forked_server>(body);
        guardian_ = guardian::start().value();
        return server;
    }

    temporary_folder folder_;
    fs::path data_ = folder_.path;
    std::unique_ptr<guardian> guardian_ = guardian::start().value();
};

TEST_F(managed, postgres_answers_on_its_private_socket_only) {
    managed_postgres db(*guardian_, postgres());
    ASSERT_TRUE(db.begin().has_value());
    ASSERT_TRUE(db.wait_ready().has_value());
    EXPECT_EQ(ask(db.uri(), "SELECT current_database()"), "immortal");
    EXPECT_EQ(ask(db.uri(), "SHOW listen_addresses"), "");
    EXPECT_EQ(ask(db.uri(), "SHOW synchronous_commit"), "on");
    EXPECT_EQ(ask(db.uri(), "SHOW max_connections"), "64");
    EXPECT_EQ(db.folder(), data_ / "postgres");
    EXPECT_EQ(db.status().state, service_state::ready);
    db.stop();
    EXPECT_EQ(db.status().state, service_state::stopped);
    EXPECT_EQ(ask(db.uri(), "SELECT 1"), "");
}

TEST_F(managed, postgres_that_is_killed_comes_back_with_its_data) {
    managed_postgres db(*guardian_, postgres());
    ASSERT_TRUE(db.begin().has_value());
    ASSERT_TRUE(db.wait_ready().has_value());
    EXPECT_EQ(ask(db.uri(), "CREATE TABLE t AS SELECT 42 AS n; SELECT n FROM t"), "42");
    for (std::uint64_t round = 1; round <= 2; ++round) {
        kill(db.status().pid, SIGKILL);
        EXPECT_TRUE(eventually([&] {
            const auto s = db.status();
            return s.restarts >= round && s.state == service_state::ready;
        }));
        EXPECT_EQ(ask(db.uri(), "SELECT n FROM t"), "42");
    }
}

TEST_F(managed, postgres_that_does_not_come_up_says_why_and_where_the_log_is) {
    const auto options = postgres();
    {
        std::ofstream(data_ / "postgres" / "postgresql.conf", std::ios::app) << "work_mem = frog\n";
    }
    managed_postgres db(*guardian_, options);
    ASSERT_TRUE(db.begin().has_value());
    const auto ready = db.wait_ready();
    ASSERT_FALSE(ready.has_value());
    EXPECT_THAT(ready.error().message, HasSubstr("PostgreSQL ended (exit code 1): FATAL:"));
    EXPECT_THAT(ready.error().message, HasSubstr("contains errors"));
    EXPECT_THAT(ready.error().message, HasSubstr((data_ / "postgres.log").string()));
    EXPECT_EQ(db.status().state, service_state::failed);
}

TEST_F(managed, a_folder_that_is_no_cluster_is_refused) {
    fs::create_directory(data_ / "postgres");
    managed_postgres db(*guardian_, postgres());
    EXPECT_THAT(db.begin().error().message, HasSubstr("is not a PostgreSQL folder"));
}

TEST_F(managed, a_file_in_place_of_a_folder_is_refused) {
    fs::remove_all(data_ / "postgres");
    {
        std::ofstream(data_ / "run") << "in the way";
    }
    managed_redis cache(*guardian_, redis());
    EXPECT_THAT(cache.begin().error().message, HasSubstr((data_ / "run").string()));
}

TEST_F(managed, a_socket_that_another_postgres_holds_is_named) {
    managed_postgres first(*guardian_, postgres());
    ASSERT_TRUE(first.begin().has_value());
    ASSERT_TRUE(first.wait_ready().has_value());
    // Another cluster, told to use the same folder for its sockets.
    temporary_folder other;
    copy_cluster(other.path);
    fs::create_directory(other.path / "run");
    fs::create_directory_symlink(data_ / "run" / "postgres", other.path / "run" / "postgres");
    managed_postgres second(*guardian_, {.data_folder = other.path, .log_folder = other.path});
    EXPECT_THAT(second.begin().error().message, HasSubstr("something else has this name"));
    fs::remove(other.path / "run" / "postgres");
    fs::remove(other.path / "run");
    fs::create_directory_symlink(data_ / "run", other.path / "run");
    managed_postgres third(*guardian_, {.data_folder = other.path, .log_folder = other.path});
    ASSERT_TRUE(third.begin().has_value());
    EXPECT_THAT(third.wait_ready().error().message, HasSubstr("already exists"));
    EXPECT_EQ(ask(first.uri(), "SELECT 1"), "1");
}

TEST_F(managed, a_long_path_puts_the_sockets_elsewhere) {
    const fs::path deep = data_ / std::string(60, 'a') / std::string(60, 'b');
    fs::create_directories(deep);
    managed_redis cache(*guardian_, {.data_folder = deep, .log_folder = deep});
    ASSERT_TRUE(cache.begin().has_value());
    ASSERT_TRUE(cache.wait_ready().has_value());
    EXPECT_LT(cache.uri().size(), socket_path_size_max);
    EXPECT_FALSE(cache.folder().string().starts_with(deep.string()));
}

TEST_F(managed, leftovers_of_a_former_run_are_ended) {
    std::vector<process_identity> left;
    {
        const auto former = fork_server([&] {
            auto g = guardian::start().value().release();
            auto* db = new managed_postgres(*g, postgres());
            auto* cache = new managed_redis(*g, redis());
            (void)(db->begin() && cache->begin() && db->wait_ready() && cache->wait_ready());
            const auto pids = std::vector<pid_t>{db->status().pid, cache->status().pid};
            kill(g->pid(), SIGSTOP); // this guardian will not help
            return pids;
        });
        left = former->children;
        ASSERT_EQ(left.size(), 2u);
        former->end(SIGKILL);
    }
    EXPECT_TRUE(is_running(left[0]) && is_running(left[1]));
    managed_postgres db(*guardian_, postgres());
    managed_redis cache(*guardian_, redis());
    ASSERT_TRUE(db.begin().has_value() && cache.begin().has_value());
    EXPECT_TRUE(db.wait_ready().has_value());
    EXPECT_TRUE(cache.wait_ready().has_value());
    EXPECT_TRUE(all_ended(left));
    EXPECT_EQ(ask(db.uri(), "SELECT 1"), "1");
    for (const pid_t pid : children_of(1)) { // the stopped guardian; it was adopted
        if (text_of("/proc/" + std::to_string(pid) + "/comm") == "immortal-guard\n") {
            kill(pid, SIGCONT);
        }
    }
}

TEST_F(managed, kill_of_the_server_leaves_neither_postgres_nor_redis) {
    const auto server = fork_server([&] {
        auto g = guardian::start().value().release();
        auto* db = new managed_postgres(*g, postgres());
        auto* cache = new managed_redis(*g, redis());
        (void)(db->begin() && cache->begin() && db->wait_ready() && cache->wait_ready());
        return std::vector<pid_t>{g->pid(), db->status().pid, cache->status().pid};
    });
    ASSERT_EQ(server->children.size(), 3u);
    server->end(SIGKILL);
    EXPECT_TRUE(eventually([&] { return all_ended(server->children); }));
    EXPECT_TRUE(find_processes("postgres", (data_ / "postgres").string()).empty());
}

TEST_F(managed, redis_answers_is_restarted_and_keeps_nothing) {
    managed_redis cache(*guardian_, redis());
    ASSERT_TRUE(cache.begin().has_value());
    ASSERT_TRUE(cache.wait_ready().has_value());
    const auto first = cache.status().pid;
    kill(first, SIGKILL);
    EXPECT_TRUE(eventually([&] {
        return cache.status().restarts == 1 && cache.status().state == service_state::ready;
    }));
    EXPECT_NE(cache.status().pid, first);
    cache.stop();
    EXPECT_FALSE(fs::exists(cache.folder() / "dump.rdb"));
}

// What stands there without a time to live (the cache's generation, its boards) must not be
// evicted.
TEST_F(managed, redis_evicts_only_what_expires) {
    managed_redis cache(*guardian_, redis());
    ASSERT_TRUE(cache.begin().has_value());
    ASSERT_TRUE(cache.wait_ready().has_value());
    const std::string socket = cache.uri().substr(std::string("unix://").size());
    const std::string command = "redis-cli -s '" + socket + "' CONFIG GET maxmemory-policy";
    std::unique_ptr<FILE, int (*)(FILE*)> answer(popen(command.c_str(), "r"), &pclose);
    ASSERT_NE(answer, nullptr);
    std::string text(200, '\0');
    text.resize(fread(text.data(), 1, text.size(), answer.get()));
    EXPECT_NE(text.find("volatile-lru"), std::string::npos) << text;
    cache.stop();
}

TEST_F(managed, a_process_that_hangs_is_seen) {
    managed_redis cache(*guardian_, redis());
    ASSERT_TRUE(cache.begin().has_value());
    ASSERT_TRUE(cache.wait_ready().has_value());
    kill(cache.status().pid, SIGSTOP);
    EXPECT_TRUE(eventually([&] { return cache.status().state == service_state::unhealthy; }));
    kill(cache.status().pid, SIGCONT);
    EXPECT_TRUE(eventually([&] { return cache.status().state == service_state::ready; }));
    EXPECT_EQ(cache.status().restarts, 0u);
}

TEST_F(managed, missing_programs_are_named) {
    const auto path = std::string(std::getenv("PATH"));
    setenv("PATH", "/nowhere", 1);
    managed_postgres::settings options{.data_folder = data_, .log_folder = data_};
    options.program_folder = "/nowhere";
    managed_postgres db(*guardian_, options);
    EXPECT_THAT(db.begin().error().message, HasSubstr("postgresql-15"));
    auto cache_options = redis();
    cache_options.program = "/nowhere/redis-server";
    managed_redis cache(*guardian_, cache_options);
    EXPECT_THAT(cache.begin().error().message, HasSubstr("redis-server was not found"));
    setenv("PATH", path.c_str(), 1);
}

// As root only: PostgreSQL's account cannot enter the data folder.
TEST_F(managed, a_data_folder_out_of_reach_puts_the_cluster_elsewhere_and_remembers_where) {
    if (geteuid() != 0) {
        GTEST_SKIP() << "needs root";
    }
    const fs::path closed = data_ / "closed";
    fs::create_directory(closed);
    chmod(closed.c_str(), 0700);
    const managed_postgres::settings options{
        .data_folder = closed, .log_folder = closed, .fallback_folder = data_ / "elsewhere"};
    fs::path folder;
    {
        managed_postgres db(*guardian_, options);
        ASSERT_TRUE(db.begin().has_value());
        ASSERT_TRUE(db.wait_ready().has_value());
        folder = db.folder();
        EXPECT_THAT(folder.string(), HasSubstr((data_ / "elsewhere").string()));
        EXPECT_THAT(text_of(closed / "postgres.folder"), StartsWith(folder.string() + "\n"));
        EXPECT_EQ(ask(db.uri(), "SELECT 1"), "1");
    }
    fs::rename(folder, folder.string() + ".moved"); // never replaced by an empty one in silence
    managed_postgres db(*guardian_, options);
    EXPECT_THAT(db.begin().error().message, HasSubstr("is missing"));
}

// As root only, since the cluster must lie elsewhere.
class managed_elsewhere : public managed {
protected:
    void SetUp() override {
        if (geteuid() != 0) {
            GTEST_SKIP() << "needs root";
        }
        make(original_);
    }
    static void make(const fs::path& folder) {
        fs::create_directory(folder);
        chmod(folder.c_str(), 0700);
    }
    managed_postgres::settings in(const fs::path& folder) const {
        return {
            .data_folder = folder, .log_folder = folder, .fallback_folder = data_ / "elsewhere"};
    }
    void copy() const {
        const std::string command = "cp -a " + original_.string() + " " + copy_.string();
        ASSERT_EQ(std::system(command.c_str()), 0);
    }
    fs::path original_ = data_ / "original";
    fs::path copy_ = data_ / "copy";
};

TEST_F(managed_elsewhere, a_copy_leaves_the_cluster_of_the_original_alone) {
    fs::path folder;
    {
        managed_postgres db(*guardian_, in(original_));
        ASSERT_TRUE(db.begin().has_value() && db.wait_ready().has_value());
        folder = db.folder();
        const pid_t pid = db.status().pid;
        copy();
        managed_postgres other(*guardian_, in(copy_));
        const auto begun = other.begin();
        ASSERT_FALSE(begun.has_value());
        EXPECT_THAT(begun.error().message, HasSubstr("is in use by another running server"));
        EXPECT_THAT(begun.error().message, HasSubstr(original_.string()));
        EXPECT_THAT(begun.error().message, HasSubstr((copy_ / "postgres.folder").string()));
        EXPECT_EQ(db.status().pid, pid);
        EXPECT_EQ(ask(db.uri(), "SELECT 1"), "1");
    }
    {
        managed_postgres other(*guardian_, in(copy_)); // nobody runs, and it is still another's
        const auto begun = other.begin();
        ASSERT_FALSE(begun.has_value());
        EXPECT_THAT(begun.error().message,
                    HasSubstr("belongs to the data folder " + original_.string()));
    }
    fs::remove(copy_ / "postgres.folder"); // what the sentence says
    managed_postgres other(*guardian_, in(copy_));
    ASSERT_TRUE(other.begin().has_value() && other.wait_ready().has_value());
    EXPECT_NE(other.folder(), folder);
    fs::rename(original_, data_ / "moved");
    managed_postgres moved(*guardian_, in(data_ / "moved"));
    ASSERT_TRUE(moved.begin().has_value() && moved.wait_ready().has_value());
    EXPECT_EQ(moved.folder(), folder);
    EXPECT_EQ(first_line(folder / "immortal.owner"), (data_ / "moved").string());
}

TEST_F(managed_elsewhere, a_deleted_data_folder_does_not_come_back_with_its_cluster) {
    const auto folder_now = [&] {
        managed_postgres db(*guardian_, in(original_));
        EXPECT_TRUE(db.begin().has_value());
        return db.folder();
    };
    const fs::path before = folder_now();
    EXPECT_EQ(folder_now(), before);
    fs::remove_all(original_);
    make(original_);
    EXPECT_NE(folder_now(), before);
}

// Places of versions that named them by the data folder's path and marked them with nothing.
TEST_F(managed_elsewhere, an_older_place_is_found_and_marked) {
    const fs::path old = data_ / "elsewhere" / short_name_of(original_) / "postgres";
    fs::create_directories(old.parent_path());
    copy_cluster(old.parent_path());
    fs::remove(old / "immortal.owner");
    {
        std::ofstream(original_ / "postgres.folder") << old.string() << "\n";
    }
    managed_postgres db(*guardian_, in(original_));
    ASSERT_TRUE(db.begin().has_value() && db.wait_ready().has_value());
    EXPECT_EQ(db.folder(), old);
    EXPECT_EQ(first_line(old / "immortal.owner"), original_.string());
}

TEST_F(managed, a_redis_of_another_server_is_left_alone) {
    managed_redis first(*guardian_, redis());
    ASSERT_TRUE(first.begin().has_value() && first.wait_ready().has_value());
    const pid_t pid = first.status().pid;
    managed_redis second(*guardian_, redis());
    EXPECT_THAT(second.begin().error().message, HasSubstr("in use by another running server"));
    EXPECT_EQ(first.status().pid, pid);
}

TEST_F(managed, works_as_an_ordinary_user) {
    const auto nobody = find_account("nobody");
    if (geteuid() != 0 || !nobody) {
        GTEST_SKIP() << "needs root, to become somebody else";
    }
    const fs::path own = data_ / "own";
    fs::create_directory(own);
    ASSERT_EQ(chown(own.c_str(), nobody->uid, nobody->gid), 0);
    const auto server = fork_server([&] {
        if (setgid(nobody->gid) != 0 || setuid(nobody->uid) != 0) {
            return std::vector<pid_t>{};
        }
        auto g = guardian::start().value().release();
        auto* db = new managed_postgres(*g, {.data_folder = own, .log_folder = own});
        auto* cache = new managed_redis(*g, {.data_folder = own, .log_folder = own});
        if (!(db->begin() && cache->begin() && db->wait_ready() && cache->wait_ready())) {
            return std::vector<pid_t>{};
        }
        return std::vector<pid_t>{db->status().pid, cache->status().pid};
    });
    EXPECT_EQ(server->children.size(), 2u);
    server->end(SIGKILL);
    EXPECT_TRUE(eventually([&] { return all_ended(server->children); }));
}

} // namespace
} // namespace immortal::runtime
