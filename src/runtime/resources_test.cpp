// What the machine refuses is an error or an exception; nothing is left running.
#include "runtime/blocking_pool.hpp"
#include "runtime/engine.hpp"
#include "runtime/guardian.hpp"
#include "runtime/managed_redis.hpp"
#include "runtime/postgres_cluster.hpp"
#include "runtime/process_testing.hpp"
#include "runtime/resource_check.hpp"
#include "runtime/service_folders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace immortal::runtime {
namespace {

using namespace testing_language;
using testing::HasSubstr;

// Runs `body` in a process of its own under a user who has no other process and may have `tasks`.
// Gives its exit code; a signal is 1000 + its number.
int with_few_tasks(rlim_t tasks, const std::function<int()>& body) {
    const pid_t pid = fork();
    if (pid == 0) {
        const rlimit limit{tasks, tasks};
        const uid_t user = 61'000 + static_cast<uid_t>(getpid()) % 4'000;
        const bool good = setgroups(0, nullptr) == 0 && setgid(user) == 0 && setuid(user) == 0 &&
                          setrlimit(RLIMIT_NPROC, &limit) == 0;
        _exit(good ? body() : 99);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(cluster_rooms, are_not_judged_where_the_file_system_tells_no_sizes) {
    EXPECT_TRUE(check_cluster_room("/proc"));
    EXPECT_TRUE(check_cluster_room("/nowhere/at/all"));
}

bool refuses(const std::function<void()>& work) {
    try {
        work();
    } catch (const std::system_error&) {
        return true;
    }
    return false;
}

class few_tasks : public testing::Test {
protected:
    void SetUp() override {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
        GTEST_SKIP() << "a sanitizer has threads of its own";
#endif
#endif
        if (geteuid() != 0) {
            GTEST_SKIP() << "needs root, to become somebody else";
        }
    }
};

TEST_F(few_tasks, an_engine_that_gets_too_few_threads_can_be_stopped) {
    EXPECT_EQ(with_few_tasks(4,
                             [] {
                                 engine e({.threads = 16});
                                 const bool refused = refuses([&] { e.start(); });
                                 e.stop();
                                 return refused ? 0 : 1;
                             }),
              0);
}

TEST_F(few_tasks, a_pool_that_gets_too_few_threads_is_an_exception) {
    EXPECT_EQ(
        with_few_tasks(
            4, [] { return refuses([] { const blocking_pool p({.threads = 16}); }) ? 0 : 1; }),
        0);
}

// One task: not even the fork. Two: the fork, and no thread to read its answers.
TEST_F(few_tasks, a_guardian_that_cannot_be_started_is_an_error_and_leaves_none) {
    for (const rlim_t tasks : {1UL, 2UL}) {
        EXPECT_EQ(with_few_tasks(tasks,
                                 [] {
                                     const auto started = guardian::start();
                                     return !started && children_of(getpid()).empty() ? 0 : 1;
                                 }),
                  0)
            << tasks;
    }
}

TEST_F(few_tasks, the_check_says_how_many_there_are) {
    EXPECT_EQ(with_few_tasks(10,
                             [] {
                                 const auto refused = check_resources({.threads = 30});
                                 const bool named =
                                     !refused &&
                                     refused.error().message.find("only 9 of") != std::string::npos;
                                 return named && check_resources({.threads = 9}) ? 0 : 1;
                             }),
              0);
}

TEST(resource_check, names_the_limit_that_is_too_low) {
    const auto message = [](int resource, rlim_t value, resource_needs needs) {
        std::array<int, 2> ends{};
        EXPECT_EQ(pipe(ends.data()), 0);
        const pid_t pid = fork();
        if (pid == 0) {
            const rlimit limit{value, value};
            setrlimit(static_cast<__rlimit_resource>(resource), &limit);
            const auto checked = check_resources(needs);
            const std::string text = checked ? "" : checked.error().message;
            (void)!write(ends[1], text.data(), text.size());
            _exit(0);
        }
        close(ends[1]);
        std::string out(1'000, '\0');
        const ssize_t size = read(ends[0], out.data(), out.size());
        close(ends[0]);
        waitpid(pid, nullptr, 0);
        out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return out;
    };
    EXPECT_THAT(message(RLIMIT_NOFILE, 64, {.descriptors = 256}), HasSubstr("ulimit -n"));
    EXPECT_EQ(message(RLIMIT_NOFILE, 64, {.descriptors = 64}), "");
    EXPECT_THAT(message(RLIMIT_FSIZE, 4'096, {.file_size = 4'097}), HasSubstr("ulimit -f"));
    EXPECT_EQ(message(RLIMIT_FSIZE, 4'096, {}), "");
    EXPECT_TRUE(check_resources({}).has_value());
}

TEST(service_folders, a_passage_that_an_earlier_umask_closed_is_opened) {
    const temporary_folder folder;
    const fs::path data = folder.path / "data";
    fs::create_directories(data / "run");
    ASSERT_EQ(chmod((data / "run").c_str(), 0700), 0);
    ASSERT_TRUE(make_socket_folder(data, "redis", "redis.sock", {}).has_value());
    struct stat found{};
    ASSERT_EQ(stat((data / "run").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, passage_mode());
}

// The folders of a service, whatever the umask of who starts it.
TEST(service_folders, have_modes_of_their_own) {
    const temporary_folder folder;
    const auto mode_of = [](const fs::path& path) {
        struct stat found{};
        EXPECT_EQ(stat(path.c_str(), &found), 0) << path;
        return found.st_mode & 0777;
    };
    for (const mode_t mask : {0000U, 0022U, 0077U, 0777U}) {
        const fs::path base = folder.path / std::to_string(mask);
        const mode_t former = umask(mask);
        EXPECT_TRUE(make_folders(base / "a" / "b", passage_mode()).has_value());
        const auto sockets = make_socket_folder(base / "a" / "b", "redis", "redis.sock", {});
        umask(former);
        ASSERT_TRUE(sockets.has_value());
        EXPECT_EQ(mode_of(base / "a"), 0755u);
        EXPECT_EQ(mode_of(base / "a" / "b"), passage_mode());
        EXPECT_EQ(mode_of(sockets->parent_path()), passage_mode());
        EXPECT_EQ(mode_of(*sockets), 0700u);
    }
}

TEST(service_folders, sockets_with_a_comma_in_their_path_lie_elsewhere) {
    const temporary_folder folder;
    const fs::path data = folder.path / "a,b";
    fs::create_directories(data);
    const auto sockets = make_socket_folder(data, "postgres", ".s.PGSQL.5439", {});
    ASSERT_TRUE(sockets.has_value());
    EXPECT_EQ(sockets->string().find(','), std::string::npos);
    fs::remove_all(sockets->parent_path());
}

} // namespace
} // namespace immortal::runtime
