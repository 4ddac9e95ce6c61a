#include "app/usage.hpp"

#include "base/edit_distance.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string_view>
#include <vector>

namespace immortal::app {

namespace {

using names = std::vector<std::string>;

// " Did you mean X?" if one is near enough.
std::string suggestion(const std::string& given, const names& known) {
    const auto nearest = std::ranges::min_element(
        known, {}, [&given](const std::string& each) { return base::edit_distance(given, each); });
    const std::size_t letters = given.size() - std::min(given.find_first_not_of('-'), given.size());
    const bool is_near = nearest != known.end() && base::edit_distance(given, *nearest) <=
                                                       std::max<std::size_t>(1, letters / 3);
    return is_near ? " Did you mean " + *nearest + "?" : "";
}

std::string full_name(const CLI::App& app) {
    const CLI::App* parent = app.get_parent();
    return parent == nullptr ? app.get_name() : full_name(*parent) + " " + app.get_name();
}

names commands_of(const CLI::App& app) {
    names out;
    for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; })) {
        out.push_back(each->get_name());
    }
    return out;
}

names options_of(const CLI::App& app) {
    names out;
    for (const CLI::Option* each : app.get_options()) {
        if (!each->get_positional()) {
            out.push_back(each->get_name());
        }
    }
    return out;
}

// The command that was named last.
const CLI::App& innermost(const CLI::App& app) {
    const auto parsed = app.get_subcommands();
    return parsed.empty() ? app : innermost(*parsed.back());
}

// The first one, from the outermost, to which something was given that it does not know.
const CLI::App* puzzled(const CLI::App& app) {
    if (!app.remaining().empty()) {
        return &app;
    }
    const auto parsed = app.get_subcommands();
    return parsed.empty() ? nullptr : puzzled(*parsed.back());
}

std::string unknown_sentence(const CLI::App& app) {
    const std::string given = app.remaining().front();
    const names commands = commands_of(app);
    if (given.size() > 1 && given.starts_with('-')) {
        return fmt::format("`{}` has no option {}.{}", full_name(app), given,
                           suggestion(given.substr(0, given.find('=')), options_of(app)));
    }
    if (commands.empty() || !app.get_subcommands().empty()) {
        return fmt::format("`{}` does not take the argument \"{}\".", full_name(app), given);
    }
    return fmt::format("`{}` has no command \"{}\"; its commands are {}.{}", full_name(app), given,
                       fmt::join(commands, ", "), suggestion(given, commands));
}

// "how many stay": what it is for, to stand behind a colon.
std::string purpose(const CLI::Option& option) {
    std::string help = option.get_description();
    if (!help.empty()) {
        help[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(help[0])));
    }
    return help;
}

std::string missing_sentence(const CLI::App& app, const std::string& what) {
    const std::string name = what.substr(0, what.find(' '));
    if (const CLI::Option* option = app.get_option_no_throw(name); option != nullptr) {
        const std::string type = option->get_positional() ? "" : " " + option->get_type_name();
        return fmt::format("`{}` needs {}{}: {}.", full_name(app), name, type, purpose(*option));
    }
    return fmt::format("`{}` needs a command behind it: {}.", full_name(app),
                       fmt::join(commands_of(app), ", "));
}

// CLI11 says it of an option that is given twice, and of one without a value.
std::string mismatch_sentence(const CLI::App& app, const std::string& what) {
    const std::string name = what.substr(0, what.find_first_of(": "));
    const CLI::Option* option = app.get_option_no_throw(name);
    if (option == nullptr) {
        return what + ".";
    }
    return option->count() > 1 ? name + " is given more than once: give it once."
                               : fmt::format("{} needs a value: {}.", name, purpose(*option));
}

std::string exclusion_sentence(const std::string& what) {
    constexpr std::string_view word = " excludes ";
    const auto place = what.find(word);
    return place == std::string::npos
               ? what + "."
               : fmt::format("{} and {} cannot be given together: leave one of them out.",
                             what.substr(0, place), what.substr(place + word.size()));
}

} // namespace

CLI::Option* add_number(CLI::App& app, const char* name, whole_range range, const char* help,
                        std::function<void(std::uint64_t)> store) {
    const auto take = [name, range, store = std::move(store)](const std::string& text) {
        std::uint64_t value = 0;
        const char* end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, value);
        if (read.ec != std::errc() || read.ptr != end || value < range.least ||
            value > range.most) {
            throw CLI::ValidationError(
                fmt::format("{} must be a whole number from {} to {}, not \"{}\".", name,
                            range.least, range.most, text),
                CLI::ExitCodes::ValidationError);
        }
        store(value);
    };
    return app.add_option_function<std::string>(name, take, help)->type_name("N");
}

CLI::Option* add_name(CLI::App& app, const char* name, const char* type, const char* help,
                      std::function<void(const std::string&)> store) {
    const auto take = [name, store = std::move(store)](const std::string& text) {
        if (text.empty()) {
            throw CLI::ValidationError(
                fmt::format("{} is empty: give it a value (is a variable of a script not set?){}.",
                            name, *name == '-' ? ", or leave the option out" : ""),
                CLI::ExitCodes::ValidationError);
        }
        store(text);
    };
    return app.add_option_function<std::string>(name, take, help)->type_name(type);
}

std::string usage_sentence(const CLI::App& root, const CLI::ParseError& problem) {
    const CLI::App& app = innermost(root);
    const std::string what = problem.what();
    const CLI::App* stray = puzzled(root);
    std::string said;
    if (stray != nullptr && (dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr ||
                             dynamic_cast<const CLI::ExtrasError*>(&problem) != nullptr)) {
        said = unknown_sentence(*stray);
    } else if (dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr) {
        said = missing_sentence(app, what);
    } else if (dynamic_cast<const CLI::ArgumentMismatch*>(&problem) != nullptr) {
        said = mismatch_sentence(app, what);
    } else if (dynamic_cast<const CLI::ExcludesError*>(&problem) != nullptr) {
        said = exclusion_sentence(what);
    } else {
        said = what.ends_with('.') ? what : what + ".";
    }
    return fmt::format("{} See `{} --help`.", said, full_name(stray != nullptr ? *stray : app));
}

} // namespace immortal::app
