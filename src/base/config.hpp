// The configuration of a program: a registry of keys, and the values that four layers give them:
// defaults < TOML file < environment < flags. The registry knows everything about a key; the sample
// file config/immortal.toml, the checks and the messages all come from it.
//
// Not thread-safe while it is being loaded; read from any thread afterwards.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace immortal::base {

// The alternative of the default decides the type of a key.
using config_value = std::variant<bool, std::int64_t, double, std::string>;

struct config_key {
    std::string name; // "section.key": snake_case, the section without a dot
    config_value fallback;
    std::string doc;    // one or more sentences for whoever edits the file
    double minimum = 0; // numbers only, both ends allowed
    double maximum = static_cast<double>(std::numeric_limits<std::int64_t>::max());
    std::vector<std::string> allowed = {}; // text only; empty: any text
    bool secret = false;                   // never printed, not even in an error message
};

// The keys a program knows, in the order in which they were added.
class config_registry {
public:
    // Keys of one section must be added together. A bad or repeated name is an assertion.
    config_registry& add(config_key key);
    // A sentence above the section in the sample file.
    config_registry& describe_section(std::string section, std::string doc);
    // Environment variables that start with `prefix` are not configuration and are left alone.
    config_registry& ignore_environment(std::string prefix);

    [[nodiscard]] const std::vector<config_key>& keys() const { return keys_; }
    [[nodiscard]] const config_key* find(std::string_view name) const;    // null: unknown
    [[nodiscard]] const config_key& nearest(std::string_view name) const; // by edit distance
    [[nodiscard]] bool ignores_environment(std::string_view variable) const;
    // A file with every key, commented out at its default.
    [[nodiscard]] std::string sample_file() const;

    // "http.port" -> "IMMORTAL_HTTP_PORT"
    [[nodiscard]] static std::string environment_name(std::string_view key);

private:
    std::vector<config_key> keys_;
    std::map<std::string, std::string, std::less<>> section_docs_;
    std::vector<std::string> ignored_prefixes_;
};

enum class config_layer : std::uint8_t { defaults, file, environment, flag };

class config {
public:
    // `registry` must outlive the object. Every key has its default.
    explicit config(const config_registry& registry);

    // Each refuses with errc::invalid_argument: the message names the source (file and line,
    // variable, flag), the key and what was expected; an unknown key is answered with the nearest
    // known one. A value never replaces one of a higher layer, whatever the order of the calls.
    // After a refusal earlier values of the same call stay: do not go on with the object.
    status load_file(const std::filesystem::path& path);
    status load_toml(std::string_view text, const std::string& source);
    // Looks at variables named IMMORTAL_*; the map form is for tests.
    status load_environment();
    status load_environment(const std::map<std::string, std::string>& variables);
    // `source` as the user knows it: "--http-port".
    status set_flag(const std::string& source, std::string_view key, const std::string& text);

    // The name must be registered with this type (assertion).
    [[nodiscard]] bool boolean(std::string_view name) const;
    [[nodiscard]] std::int64_t integer(std::string_view name) const;
    [[nodiscard]] double number(std::string_view name) const;
    [[nodiscard]] const std::string& text(std::string_view name) const;

    // "default", "immortal.toml:12", "IMMORTAL_HTTP_PORT", "--http-port"
    [[nodiscard]] const std::string& source_of(std::string_view name) const;
    [[nodiscard]] bool is_default(std::string_view name) const;
    // "http.port = 8080  # --http-port", one key a line; secrets show as "(set)" or "(not set)".
    [[nodiscard]] std::string describe() const;

private:
    struct slot {
        config_value value;
        config_layer layer = config_layer::defaults;
        std::string source = "default";
    };

    [[nodiscard]] const slot& at(std::string_view name) const;
    status assign(const config_key& key, config_value value, config_layer layer,
                  const std::string& source);
    status assign_text(const config_key& key, const std::string& text, config_layer layer,
                       const std::string& source);
    [[nodiscard]] std::unexpected<error> unknown_key(const std::string& source,
                                                     std::string_view name) const;

    const config_registry* registry_;
    std::map<std::string, slot, std::less<>> slots_;
};

} // namespace immortal::base
