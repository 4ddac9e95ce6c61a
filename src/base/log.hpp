// The structured log of the process: one line an entry, to standard error, as text or JSON.
// Thread-safe. Never give it a secret, a token, a password or a whole request body.
//
//   base::log_warning("postgres", "connection lost; trying again", {{"attempt", 3}, {"wait_ms",
//   200}});
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace immortal::base {

enum class log_level : std::uint8_t { debug, info, warning, error, off };
enum class log_format : std::uint8_t { text, json };

struct log_field {
    std::string_view key;
    std::string value;
    bool quoted = true; // false: a JSON number or boolean

    log_field(std::string_view k, std::string_view v) : key(k), value(v) {}
    log_field(std::string_view k, const char* v) : key(k), value(v) {}
    log_field(std::string_view k, const std::string& v) : key(k), value(v) {}
    log_field(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), quoted(false) {}
    template <typename T>
        requires(std::integral<T> || std::floating_point<T>)
    log_field(std::string_view k, T v) : key(k), value(std::to_string(v)), quoted(false) {}
};

using log_fields = std::initializer_list<log_field>;

// Call before threads start; the default is text at level info.
void configure_log(log_level level, log_format format);

// Whether an entry of this level would be written: for entries that cost something to make.
[[nodiscard]] bool log_enabled(log_level level) noexcept;

void log(log_level level, std::string_view module, std::string_view message,
         log_fields fields = {});

inline void log_debug(std::string_view module, std::string_view message, log_fields fields = {}) {
    log(log_level::debug, module, message, fields);
}
inline void log_info(std::string_view module, std::string_view message, log_fields fields = {}) {
    log(log_level::info, module, message, fields);
}
inline void log_warning(std::string_view module, std::string_view message, log_fields fields = {}) {
    log(log_level::warning, module, message, fields);
}
inline void log_error(std::string_view module, std::string_view message, log_fields fields = {}) {
    log(log_level::error, module, message, fields);
}

} // namespace immortal::base
