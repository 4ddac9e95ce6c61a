#include "base/lease_testing.hpp"
#include "runtime/guardian.hpp"
#include "runtime/guardian_protocol.hpp"
#include "runtime/guardian_state.hpp"
#include "runtime/guardian_watch.hpp"
#include "runtime/process_testing.hpp"
#include "runtime/service_folders.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <optional>
#include <sys/file.h>
#include <sys/ptrace.h>

namespace immortal::runtime {
namespace {

using namespace testing_language;

class guardians : public testing::Test {
protected:
    child_process spawn(process_spec spec) { return guardian_->spawn(std::move(spec)).value(); }

    temporary_folder folder_;
    fs::path log_ = folder_.path / "log";
    std::unique_ptr<guardian> guardian_ = guardian::start().value();
};

TEST_F(guardians, runs_a_process_with_its_own_environment_folder_and_log) {
    auto spec = shell("echo $GREETING; pwd; echo oops >&2; exit 3", log_);
    spec.working_folder = folder_.path;
    EXPECT_EQ(spawn(spec).wait(patience)->code, 3);
    EXPECT_EQ(text_of(log_), "hello\n" + folder_.path.string() + "\noops\n");
}

TEST_F(guardians, says_why_a_process_cannot_be_started) {
    auto spec = shell("true");
    spec.program = "/nowhere/at/all";
    EXPECT_EQ(guardian_->spawn(spec).error().message,
              "/nowhere/at/all could not be started (program: No such file or directory).");
    spec = shell("true", "/nowhere/log");
    EXPECT_EQ(guardian_->spawn(spec).error().message,
              "/bin/sh could not be started (log file: No such file or directory).");
    EXPECT_TRUE(spawn(shell("true")).wait(patience)->success());
}

TEST_F(guardians, reports_the_signal_that_ended_a_process) {
    auto child = spawn(shell("sleep 1000"));
    EXPECT_TRUE(child.running());
    child.send_signal(SIGUSR1);
    EXPECT_EQ(child.wait(patience)->signal, SIGUSR1);
}

TEST_F(guardians, follows_the_stop_plan_to_its_end) {
    auto gentle = spawn(shell("trap 'exit 7' TERM; touch ready; while :; do sleep 0.01; done"));
    auto spec = shell("trap 'echo term' TERM; trap 'echo quit' QUIT; echo ready;"
                      "while :; do sleep 0.01; done",
                      log_);
    spec.stop_plan = {{SIGTERM, 100ms}, {SIGQUIT, 100ms}};
    auto stubborn = spawn(spec);
    ASSERT_TRUE(eventually([&] { return text_of(log_).starts_with("ready"); }));
    EXPECT_EQ(stubborn.stop()->signal, SIGKILL);
    EXPECT_EQ(text_of(log_), "ready\nterm\nquit\n");
    EXPECT_EQ(gentle.stop()->code, 7);
}

TEST_F(guardians, ends_a_process_that_is_stopped) {
    auto child = spawn(shell("sleep 1000"));
    child.send_signal(SIGSTOP);
    EXPECT_EQ(child.stop()->signal, SIGTERM);
}

TEST_F(guardians, kills_at_its_deadline_what_does_not_end_stopped_grandchildren_too) {
    auto spec =
        shell("setsid sh -c 'echo $$; kill -STOP $$' & trap '' TERM; wait; sleep 1000", log_);
    spec.stop_plan = {{SIGTERM, 1h}};
    auto child = spawn(spec);
    ASSERT_TRUE(eventually([&] { return text_of(log_).ends_with("\n"); }));
    const auto grandchild = identity_of(std::stoi(text_of(log_))).value();
    guardian_->end_by(std::chrono::steady_clock::now() + 100ms);
    child.terminate();
    EXPECT_EQ(child.wait(patience)->signal, SIGKILL);
    EXPECT_TRUE(eventually([&] { return !is_running(grandchild); }));
    EXPECT_EQ(guardian_->spawn(shell("true")).error().code, base::errc::cancelled);
    EXPECT_EQ(kill(guardian_->pid(), 0), 0); // it goes on until it is shut down
}

TEST_F(guardians, lets_what_ends_before_the_deadline_end_by_its_plan) {
    auto child = spawn(shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done", log_));
    ASSERT_TRUE(eventually([&] { return text_of(log_) == "ready\n"; }));
    guardian_->end_by(std::chrono::steady_clock::now() + 1h);
    EXPECT_EQ(child.stop()->code, 7);
    guardian_->shut_down(); // does not wait for the deadline
}

TEST_F(guardians, is_continued_by_whoever_asks_it_for_something) {
    kill(guardian_->pid(), SIGSTOP);
    auto child = spawn(shell("sleep 1000"));
    kill(guardian_->pid(), SIGSTOP);
    EXPECT_EQ(child.stop()->signal, SIGTERM);
    auto other = spawn(shell("true"));
    kill(guardian_->pid(), SIGSTOP);
    guardian_->wake();
    EXPECT_TRUE(other.wait(patience)->success());
    kill(guardian_->pid(), SIGSTOP);
    guardian_->shut_down();
    EXPECT_FALSE(guardian_->lost());
}

TEST_F(guardians, keeps_a_deadline_that_passed_while_it_was_stopped) {
    auto spec = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done", log_);
    spec.stop_plan = {{SIGTERM, 1h}};
    auto child = spawn(spec);
    ASSERT_TRUE(eventually([&] { return text_of(log_) == "ready\n"; }));
    guardian_->end_by(std::chrono::steady_clock::now() + 200ms); // continues it
    kill(guardian_->pid(), SIGSTOP);
    EXPECT_EQ(child.wait(patience)->signal, SIGKILL);
}

// Of a debugger: SIGCONT does not continue what it holds. False: tracing is not allowed here.
bool hold_by_tracing(pid_t pid) {
    return ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0 &&
           ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) == 0;
}

class held_guardians : public guardians {
protected:
    void SetUp() override {
        auto spec = shell(
            "setsid sh -c 'echo $$; kill -STOP $$' & trap '' TERM INT; wait; sleep 1000", log_);
        spec.stop_plan = {{SIGTERM, 100ms}};
        child_ = spawn(spec);
        ASSERT_TRUE(eventually([&] { return text_of(log_).ends_with("\n"); }));
        grandchild_ = identity_of(std::stoi(text_of(log_))).value();
        if (!hold_by_tracing(guardian_->pid())) {
            GTEST_SKIP() << "needs ptrace";
        }
    }
    [[nodiscard]] bool all_gone() const {
        return !is_running(identity_of(child_->pid()).value_or(process_identity{})) &&
               !is_running(grandchild_);
    }

    std::optional<child_process> child_;
    process_identity grandchild_;
};

TEST_F(held_guardians, are_killed_with_what_they_started_after_the_deadline) {
    guardian_->end_by(std::chrono::steady_clock::now() + 100ms);
    child_->terminate();
    EXPECT_EQ(child_->wait(patience)->signal, SIGKILL);
    EXPECT_TRUE(guardian_->lost());
    EXPECT_TRUE(eventually([&] { return all_gone(); }));
    guardian_->shut_down();
}

TEST_F(held_guardians, do_not_delay_a_shut_down_beyond_the_longest_plan) {
    guardian_->shut_down();
    EXPECT_FALSE(child_->running());
    EXPECT_TRUE(eventually([&] { return all_gone(); }));
}

TEST_F(held_guardians, cannot_make_a_stop_wait_for_ever) {
    EXPECT_EQ(child_->stop(), std::nullopt);
    EXPECT_TRUE(child_->is_overdue());
    ptrace(PTRACE_DETACH, guardian_->pid(), nullptr, nullptr);
    EXPECT_TRUE(child_->wait(patience).has_value());
    EXPECT_FALSE(child_->is_overdue());
}

TEST_F(guardians, waits_for_who_holds_a_lease_on_a_log_file) {
    base::lease_holder holder(log_);
    if (!holder.held()) {
        GTEST_SKIP() << "needs leases";
    }
    EXPECT_TRUE(spawn(shell("echo $GREETING", log_)).wait(patience)->success());
    EXPECT_TRUE(holder.gave_up());
    EXPECT_EQ(text_of(log_), "hello\n");
}

// Of a process that waits for a disk, as far as its parent can see: it is killed, and its parent
// does not learn of its end before this process, which traces it, lets it go.
class stuck_children : public guardians {
protected:
    void SetUp() override {
        child_ = spawn(shell("exec sleep 1000"));
        if (ptrace(PTRACE_SEIZE, child_->pid(), nullptr, nullptr) != 0) {
            GTEST_SKIP() << "needs ptrace";
        }
    }
    void let_go() const {
        int status = 0;
        while (waitpid(child_->pid(), &status, 0) == child_->pid() && !WIFSIGNALED(status)) {
        }
    }
    // Whether the guardian is alive, though nobody waits for it; later it ends.
    [[nodiscard]] bool stays_behind() const { return is_running(identity_); }
    [[nodiscard]] bool ends_later() const {
        int status = -1;
        return waitpid(guardian_->pid(), &status, 0) == guardian_->pid() && status == 0;
    }

    process_identity identity_ = identity_of(guardian_->pid()).value();
    std::optional<child_process> child_;
};

TEST_F(stuck_children, are_not_waited_for_and_keep_their_guardian) {
    guardian_->end_by(std::chrono::steady_clock::now() + 100ms);
    child_->terminate();
    EXPECT_EQ(child_->wait(patience), std::nullopt);
    EXPECT_TRUE(child_->is_overdue());
    EXPECT_EQ(child_->stop(), std::nullopt);
    EXPECT_FALSE(guardian_->lost());
    guardian_->shut_down();
    EXPECT_TRUE(stays_behind());
    EXPECT_FALSE(guardian_->lost());
    let_go();
    EXPECT_TRUE(ends_later());
}

TEST_F(stuck_children, are_left_to_their_guardian_by_a_shut_down) {
    guardian_->end_by(std::chrono::steady_clock::now() + 100ms);
    guardian_->shut_down();
    EXPECT_TRUE(stays_behind());
    let_go();
    EXPECT_TRUE(ends_later());
}

TEST_F(stuck_children, that_can_end_after_all_are_reported) {
    guardian_->end_by(std::chrono::steady_clock::now() + 100ms);
    EXPECT_EQ(child_->wait(patience), std::nullopt);
    let_go();
    EXPECT_TRUE(eventually([&] { return child_->wait(0ms).has_value(); }));
    EXPECT_FALSE(child_->is_overdue());
    guardian_->shut_down();
    EXPECT_FALSE(stays_behind());
}

// Whoever has its number by then.
TEST(ended_guardians, are_not_woken) {
    const pid_t other = fork();
    if (other == 0) {
        for (;;) {
            pause();
        }
    }
    kill(other, SIGSTOP);
    int status = 0;
    ASSERT_EQ(waitpid(other, &status, WUNTRACED), other);
    guardian::state connection;
    connection.pid = other;
    connection.end_all();
    EXPECT_TRUE(connection.lost);
    connection.wake();
    EXPECT_EQ(waitpid(other, &status, WNOHANG | WCONTINUED), 0);
    kill(other, SIGKILL);
    waitpid(other, &status, 0);
}

TEST(guardian_watches, wake_first_and_kill_what_does_not_do_its_work_then) {
    using step = guardian_watch::step;
    const guardian_watch::time_point begin{};
    guardian_watch watch;
    EXPECT_EQ(watch.next_step(begin + 1h, true), step::none);
    watch.limit_children(begin + 9s);
    watch.limit_children(begin + 8s);
    watch.limit_children(begin + 20s);
    EXPECT_EQ(watch.next_time(true), begin + 8s);
    EXPECT_EQ(watch.next_time(false), std::nullopt); // nothing is left to wait for
    EXPECT_EQ(watch.next_step(begin + 7s, true), step::none);
    EXPECT_EQ(watch.next_step(begin + 8s, false), step::none);
    EXPECT_EQ(watch.next_step(begin + 8s, true), step::wake);
    EXPECT_EQ(watch.next_step(begin + 9s, true), step::none);
    EXPECT_EQ(watch.next_step(begin + 9s, false), step::none); // it did
    watch.limit_guardian(begin + 10s);
    EXPECT_EQ(watch.next_time(false), begin + 10s);
    EXPECT_EQ(watch.next_step(begin + 10s, false), step::wake);
    EXPECT_EQ(watch.next_time(false), begin + 10s + guardian_watch::grace);
    EXPECT_EQ(watch.next_step(begin + 11s + 500ms, false), step::kill);
    EXPECT_EQ(watch.next_step(begin + 20s, false), step::none);
    EXPECT_EQ(watch.next_time(false), std::nullopt);
}

TEST(guardian_watches, give_up_what_cannot_be_done_by_a_guardian_that_answers) {
    using step = guardian_watch::step;
    const guardian_watch::time_point begin{};
    guardian_watch watch;
    watch.limit_children(begin + 8s);
    watch.note_answer(); // to an earlier wake
    EXPECT_EQ(watch.next_step(begin + 8s, true), step::wake);
    EXPECT_EQ(watch.next_step(begin + 9s, true), step::none);
    watch.note_answer();
    EXPECT_FALSE(watch.has_given_up());
    EXPECT_EQ(watch.next_step(begin + 9s + 500ms, true), step::give_up);
    EXPECT_TRUE(watch.has_given_up());
    EXPECT_EQ(watch.next_step(begin + 20s, true), step::none);
    EXPECT_EQ(watch.next_time(true), std::nullopt);
    EXPECT_EQ(watch.next_step(begin + 21s, false), step::none); // they have ended after all
    EXPECT_FALSE(watch.has_given_up());
    watch.limit_guardian(begin + 22s);
    EXPECT_EQ(watch.next_step(begin + 22s, false), step::wake);
    EXPECT_EQ(watch.next_step(begin + 24s, false), step::kill); // the answer was to the wake before
    EXPECT_FALSE(watch.has_given_up());
}

TEST_F(guardians, runs_under_another_account) {
    const auto nobody = find_account("nobody");
    if (geteuid() != 0 || !nobody) {
        GTEST_SKIP() << "needs root and the account nobody";
    }
    auto spec = shell("id -u; id -G", log_);
    spec.run_as = nobody;
    EXPECT_TRUE(spawn(spec).wait(patience)->success());
    EXPECT_EQ(text_of(log_),
              std::to_string(nobody->uid) + "\n" + std::to_string(nobody->gid) + "\n");
}

TEST_F(guardians, shutting_down_ends_every_child) {
    auto child = spawn(shell("sleep 1000"));
    const auto seen = identity_of(child.pid()).value();
    EXPECT_TRUE(is_running(seen));
    guardian_->shut_down();
    EXPECT_FALSE(is_running(seen));
    EXPECT_FALSE(child.running());
    EXPECT_FALSE(guardian_->lost());
    EXPECT_EQ(guardian_->spawn(shell("true")).error().code, base::errc::cancelled);
}

TEST_F(guardians, the_loss_of_the_guardian_ends_the_children_and_is_seen) {
    auto child = spawn(shell("exec sleep 1000"));
    const auto seen = identity_of(child.pid()).value();
    kill(guardian_->pid(), SIGKILL);
    ASSERT_TRUE(child.wait(patience).has_value());
    EXPECT_TRUE(guardian_->lost());
    EXPECT_TRUE(eventually([&] { return !is_running(seen); }));
}

// What a test of the kill needs: a server with a guardian, a plain child, a child that ignores
// SIGTERM, and a grandchild in a session of its own.
std::vector<pid_t> serve_with_children(const fs::path& folder) {
    auto g = guardian::start().value().release(); // lives as long as the process
    auto plain = g->spawn(shell("sleep 1000")).value();
    auto spec = shell("trap '' TERM INT; touch " + (folder / "deaf").string() +
                      "; while :; do sleep 0.01; done");
    spec.stop_plan = {{SIGTERM, 100ms}};
    auto deaf = g->spawn(spec).value();
    auto parent =
        g->spawn(shell("setsid sleep 1000 & echo $! >" + (folder / "pid").string() + "; wait"))
            .value();
    std::string grandchild;
    (void)eventually([&] {
        grandchild = text_of(folder / "pid");
        return grandchild.ends_with('\n') && fs::exists(folder / "deaf");
    });
    return {g->pid(), plain.pid(), deaf.pid(), parent.pid(),
            static_cast<pid_t>(std::strtol(grandchild.c_str(), nullptr, 10))};
}

TEST(kill_of_the_server, leaves_no_process) {
    temporary_folder folder;
    forked_server server([&] { return serve_with_children(folder.path); });
    ASSERT_EQ(server.children.size(), 5u);
    EXPECT_TRUE(is_running(server.children[1]));
    server.end(SIGKILL);
    EXPECT_TRUE(eventually([&] { return all_ended(server.children); }));
}

TEST(kill_of_the_server, the_guardian_holds_the_lock_until_the_children_have_ended) {
    temporary_folder folder;
    const fs::path lock = folder.path / "lock";
    forked_server server([&] {
        const int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        flock(fd, LOCK_EX);
        auto g = guardian::start({fd}).value().release();
        auto spec =
            shell("trap '' TERM; echo ready; while :; do sleep 0.01; done", folder.path / "log");
        spec.stop_plan = {{SIGTERM, 300ms}};
        auto child = g->spawn(spec).value();
        (void)eventually([&] { return text_of(folder.path / "log") == "ready\n"; });
        return std::vector<pid_t>{g->pid(), child.pid()};
    });
    server.end(SIGKILL);
    const int fd = open(lock.c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_TRUE(eventually([&] { return flock(fd, LOCK_EX | LOCK_NB) == 0; }));
    EXPECT_FALSE(is_running(server.children[1]));
    close(fd);
}

TEST(guardian_protocol_messages, come_back_as_they_went) {
    guardian_protocol::request in{guardian_protocol::request_kind::spawn, 7};
    in.spec = shell("echo", "/log");
    in.spec.run_as = account{1, 2, "somebody"};
    const std::string bytes = encode(in);
    const auto out = guardian_protocol::decode_request(bytes).value();
    EXPECT_EQ(out.id, 7u);
    EXPECT_EQ(out.spec.arguments, in.spec.arguments);
    EXPECT_EQ(out.spec.run_as->name, "somebody");
    EXPECT_EQ(out.spec.stop_plan.size(), 1u);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(guardian_protocol::decode_request(bytes.substr(0, size)).has_value());
    }
    EXPECT_FALSE(guardian_protocol::decode_request(bytes + "x").has_value());
    const guardian_protocol::request limit{.kind = guardian_protocol::request_kind::limit,
                                           .deadline_ns = 80};
    EXPECT_EQ(guardian_protocol::decode_request(encode(limit)).value().deadline_ns, 80u);
}

} // namespace
} // namespace immortal::runtime
