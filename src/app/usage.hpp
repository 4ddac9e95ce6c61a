// How the command line takes numbers and names, and what is said of one that cannot be understood.
// Only for cli.cpp: it carries CLI11 with it.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>

namespace immortal::app {

// What an option takes: a whole number of this range.
struct whole_range {
    std::uint64_t least = 0;
    std::uint64_t most = 0;
};
// A position, revision or count of events: as far as JSON, in which a running server is asked,
// tells numbers apart.
inline constexpr whole_range any_place{0, (std::uint64_t{1} << 53u) - 1};
inline constexpr whole_range any_count{1, any_place.most};

// Adds an option that takes a whole number in decimal digits and gives it to `store`. Another
// value is a CLI::ValidationError with a sentence. `store` outlives the parse; so do the `to`s.
CLI::Option* add_number(CLI::App& app, const char* name, whole_range range, const char* help,
                        std::function<void(std::uint64_t)> store);

// The same for an option that is not there unless it is given.
template <typename T>
CLI::Option* add_number(CLI::App& app, const char* name, std::optional<T>& to, whole_range range,
                        const char* help) {
    return add_number(app, name, range, help,
                      [&to](std::uint64_t value) { to = static_cast<T>(value); });
}

// The same for one that has a default, which the help shows. Precondition: T holds the range.
template <typename T>
CLI::Option* add_number(CLI::App& app, const char* name, T& to, whole_range range,
                        const char* help) {
    static_assert(std::numeric_limits<T>::is_integer && !std::numeric_limits<T>::is_signed);
    CLI::Option* made = add_number(app, name, range, help,
                                   [&to](std::uint64_t value) { to = static_cast<T>(value); });
    return made->default_str(std::to_string(to));
}

// Adds an option (or an argument, if `name` has no dashes) that takes a name, which is not empty:
// an empty one is mostly a variable of a script that was not set, and would mean something else.
CLI::Option* add_name(CLI::App& app, const char* name, const char* type, const char* help,
                      std::function<void(const std::string&)> store);

// The same into a string or path.
template <typename T>
CLI::Option* add_name(CLI::App& app, const char* name, const char* type, T& to, const char* help) {
    return add_name(app, name, type, help, [&to](const std::string& value) { to = value; });
}

// What was wrong, for people: names the option or word, and where to read on. `root` has parsed,
// and thrown `problem`.
[[nodiscard]] std::string usage_sentence(const CLI::App& root, const CLI::ParseError& problem);

} // namespace immortal::app
