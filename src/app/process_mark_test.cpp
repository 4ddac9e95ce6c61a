#include "app/process_mark.hpp"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace immortal::app {
namespace {

// A process that says its mark and then waits to be killed.
class marked_process {
public:
    marked_process() {
        std::array<int, 2> ends{};
        EXPECT_EQ(pipe(ends.data()), 0);
        pid_ = fork();
        if (pid_ == 0) {
            const std::string own = process_mark();
            (void)!write(ends[1], own.data(), own.size());
            ::close(ends[1]);
            for (;;) {
                pause();
            }
        }
        ::close(ends[1]);
        std::array<char, 512> text{};
        for (ssize_t got = 0; (got = read(ends[0], text.data(), text.size())) > 0;) {
            mark_.append(text.data(), static_cast<std::size_t>(got));
        }
        ::close(ends[0]);
    }
    ~marked_process() { bury(); }
    marked_process(const marked_process&) = delete;
    marked_process& operator=(const marked_process&) = delete;

    [[nodiscard]] const std::string& mark() const { return mark_; }
    // Until it is waited for.
    void kill_only() {
        ::kill(pid_, SIGKILL);
        siginfo_t ended{};
        EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT), 0);
    }
    void bury() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            EXPECT_EQ(waitpid(pid_, nullptr, 0), pid_);
            pid_ = -1;
        }
    }

private:
    pid_t pid_ = -1;
    std::string mark_;
};

TEST(process_marks, tell_who_lives_and_who_has_ended) {
    marked_process other;
    ASSERT_FALSE(other.mark().empty());
    EXPECT_NE(other.mark(), process_mark());
    EXPECT_FALSE(is_process_gone(process_mark()));
    EXPECT_FALSE(is_process_gone(other.mark()));
    other.kill_only();
    EXPECT_TRUE(is_process_gone(other.mark())) << "nobody has waited for it yet";
    other.bury();
    EXPECT_TRUE(is_process_gone(other.mark()));
}

TEST(process_marks, of_a_later_process_with_the_same_number_are_others) {
    EXPECT_TRUE(is_process_gone(process_mark() + "0")) << "another start";
}

TEST(process_marks, of_elsewhere_say_nothing) {
    marked_process other;
    other.bury();
    std::string mark = other.mark();
    mark.front() = mark.front() == 'a' ? 'b' : 'a'; // another start of the machine
    EXPECT_FALSE(is_process_gone(mark));
    mark = other.mark();
    const auto place = mark.find("pid:[") + 5;
    ASSERT_NE(place, std::string::npos + 5);
    mark[place] = mark[place] == '1' ? '2' : '1'; // another container
    EXPECT_FALSE(is_process_gone(mark));
    for (const char* text : {"", " ", "x", "1 2"}) {
        EXPECT_FALSE(is_process_gone(text)) << text;
    }
    const std::string own = process_mark();
    const std::string scope = own.substr(0, own.rfind(' ', own.rfind(' ') - 1));
    for (const char* rest : {"", " ", " 1", " 1 ", " -1 5", " 0 5", " 1 x", " 99999999999999 5"}) {
        EXPECT_FALSE(is_process_gone(scope + rest)) << rest;
    }
}

} // namespace
} // namespace immortal::app
