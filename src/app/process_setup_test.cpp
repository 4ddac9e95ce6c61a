#include "app/process_setup.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

namespace immortal::app {
namespace {

// In a process of its own, which keeps what is set.
TEST(process_setups, children_that_have_ended_keep_their_number_until_they_are_waited_for) {
    const pid_t process = fork();
    if (process == 0) {
        (void)std::signal(SIGCHLD, SIG_IGN);
        prepare_process();
        const pid_t child = fork();
        if (child == 0) {
            _exit(7);
        }
        int status = 0;
        _exit(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(process, &status, 0), process);
    EXPECT_EQ(status, 0);
}

} // namespace
} // namespace immortal::app
