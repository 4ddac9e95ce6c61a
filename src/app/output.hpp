// Standard output as a command's result: a command that could not show it has not succeeded.
#pragma once

#include <exception>
#include <string_view>

namespace immortal::app {

// The exit code of a command that ended with `code`: exit_failure when what it wrote to standard
// output did not arrive. It says so on standard error, but for a reader that has gone (a closed
// pipe). Last thing in main().
[[nodiscard]] int checked_exit(int code);

// The same for an exception that ended a command: fmt::print throws when it cannot write. Prints
// what was refused and what to do (memory, threads, descriptors).
[[nodiscard]] int exit_of_failure(const std::exception& failure);

// Writes `text` at once, for a server that goes on whatever becomes of its output. False if it did
// not arrive.
bool announce(std::string_view text);

} // namespace immortal::app
