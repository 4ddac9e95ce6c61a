// The command line of a benchmark: named options, and words by their place.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace immortal::bench {

// What is not given stays as it is. The variables outlive read().
class arguments {
public:
    arguments(std::string program, std::string purpose)
        : program_(std::move(program)), purpose_(std::move(purpose)) {}

    // `--name VALUE`.
    template <typename T>
    arguments& option(const std::string& name, T& value, const std::string& meaning) {
        options_.push_back(describe(name, value, meaning));
        return *this;
    }
    // The next word without a name.
    template <typename T>
    arguments& word(const std::string& name, T& value, const std::string& meaning) {
        words_.push_back(describe(name, value, meaning));
        return *this;
    }

    // Ends the program: --help prints the usage, exit code 0; what is unknown or no number of the
    // kind is named, exit code 2.
    void read(int argc, const char* const* argv) const {
        std::size_t place = 0;
        for (int i = 1; i < argc; ++i) {
            const std::string_view given = argv[i];
            if (given == "--help" || given == "-h") {
                fmt::print("{}", usage());
                std::exit(0);
            }
            const argument* known = find(given, place);
            const bool is_named = given.starts_with('-');
            if (known == nullptr) {
                refuse(fmt::format("\"{}\" is no {} of it", given, is_named ? "option" : "word"));
            }
            if (is_named && ++i == argc) {
                refuse(fmt::format("{} needs a value", given));
            }
            if (!known->take(argv[i])) {
                refuse(fmt::format("{} is no value for {}", argv[i], known->name));
            }
            place += is_named ? 0 : 1;
        }
    }

    // Prints the sentence and the usage, and ends the program with 2.
    [[noreturn]] void refuse(const std::string& problem) const {
        fmt::print(stderr, "{}: {}.\n\n{}", program_, problem, usage());
        std::exit(2);
    }

private:
    struct argument {
        std::string name;
        std::string meaning;
        std::function<bool(std::string_view)> take;
    };

    template <typename T>
    static argument describe(const std::string& name, T& value, const std::string& meaning) {
        if constexpr (std::same_as<T, std::string>) {
            return {name, fmt::format("{} (default: {})", meaning, value),
                    [&value](std::string_view text) {
                        value = text;
                        return !text.empty();
                    }};
        } else {
            return {name, fmt::format("{} (default: {})", meaning, value),
                    [&value](std::string_view text) {
                        const char* const end = text.data() + text.size();
                        const auto parsed = std::from_chars(text.data(), end, value);
                        return parsed.ec == std::errc() && parsed.ptr == end && !text.empty();
                    }};
        }
    }

    [[nodiscard]] const argument* find(std::string_view given, std::size_t place) const {
        if (!given.starts_with('-')) {
            return place < words_.size() ? &words_[place] : nullptr;
        }
        for (const argument& each : options_) {
            if (each.name == given) {
                return &each;
            }
        }
        return nullptr;
    }

    [[nodiscard]] std::string usage() const {
        std::string out =
            fmt::format("usage: {}{}", program_, options_.empty() ? "" : " [OPTIONS]");
        for (const argument& each : words_) {
            out += fmt::format(" [{}]", each.name);
        }
        out += fmt::format("\n{}\n\n", purpose_);
        for (const auto* list : {&words_, &options_}) {
            for (const argument& each : *list) {
                out += fmt::format("  {:<16} {}\n", each.name, each.meaning);
            }
        }
        return out + "  --help           Shows this and ends\n";
    }

    std::string program_;
    std::string purpose_;
    std::vector<argument> options_;
    std::vector<argument> words_;
};

} // namespace immortal::bench
