#include "app/output.hpp"

#include "app/cli.hpp"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

namespace immortal::app {

namespace {

void say(const std::string& sentence) {
    const std::string line = "immortal: " + sentence + "\n";
    (void)!std::fputs(line.c_str(), stderr);
}

int output_failed(int number) {
    if (number != EPIPE) {
        say("Standard output cannot be written" +
            (number == 0 ? std::string()
                         : ": " + std::error_code(number, std::generic_category()).message()) +
            ".");
    }
    return exit_failure;
}

std::string sentence_of(int number, const std::string& words) {
    switch (number) {
    case EAGAIN:
        return "The system refused another thread or process (" + words +
               "). Raise the limit (ulimit -u, TasksMax= of the service).";
    case EMFILE:
    case ENFILE:
        return "The system refused another open file (" + words +
               "). Raise the limit (ulimit -n, LimitNOFILE= of the service).";
    case ENOMEM:
        return "Memory ran out (" + words + ").";
    default:
        return "an unexpected failure: " + words;
    }
}

} // namespace

int checked_exit(int code) {
    errno = 0;
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) {
        return code;
    }
    const int failed = output_failed(errno);
    return code == exit_success ? failed : code;
}

int exit_of_failure(const std::exception& failure) {
    int number = 0;
    if (const auto* refused = dynamic_cast<const std::system_error*>(&failure)) {
        number = refused->code().value();
    } else if (const auto* of_boost = dynamic_cast<const boost::system::system_error*>(&failure)) {
        number = of_boost->code().value();
    } else if (dynamic_cast<const std::bad_alloc*>(&failure) != nullptr) {
        number = ENOMEM;
    }
    if (std::ferror(stdout) != 0) {
        return output_failed(number);
    }
    say(sentence_of(number, failure.what()));
    return exit_failure;
}

bool announce(std::string_view text) {
    const bool good =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    std::clearerr(stdout);
    return good;
}

} // namespace immortal::app
