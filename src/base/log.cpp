#include "base/log.hpp"

#include "base/log_control.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

namespace immortal::base {
namespace {

std::atomic<log_format> current_format{log_format::text};

spdlog::logger& logger() {
    static const auto instance = [] {
        auto made = std::make_shared<spdlog::logger>(
            "immortal", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
        made->flush_on(spdlog::level::info);
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum spdlog_level(log_level level) {
    switch (level) {
    case log_level::debug:
        return spdlog::level::debug;
    case log_level::info:
        return spdlog::level::info;
    case log_level::warning:
        return spdlog::level::warn;
    case log_level::error:
        return spdlog::level::err;
    case log_level::off:
        return spdlog::level::off;
    }
    return spdlog::level::info;
}

std::string quoted(std::string_view text) {
    return boost::json::serialize(
        boost::json::value(boost::json::string_view(text.data(), text.size())));
}

std::string text_line(std::string_view module, std::string_view message, log_fields fields) {
    std::string line = fmt::format("[{}] {}", module, message);
    for (const log_field& field : fields) {
        line += fmt::format(" {}={}", field.key, field.quoted ? quoted(field.value) : field.value);
    }
    return line;
}

std::string json_line(std::string_view module, std::string_view message, log_fields fields) {
    std::string line = fmt::format("\"module\":{},\"message\":{}", quoted(module), quoted(message));
    for (const log_field& field : fields) {
        line += fmt::format(",{}:{}", quoted(field.key),
                            field.quoted ? quoted(field.value) : field.value);
    }
    return line + "}";
}

} // namespace

void configure_log(log_level level, log_format format) {
    current_format = format;
    logger().set_level(spdlog_level(level));
    logger().set_pattern(format == log_format::json
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v)"
                             : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                         spdlog::pattern_time_type::utc);
}

void set_log_level(log_level level) {
    logger().set_level(spdlog_level(level)); // atomic
}

bool log_enabled(log_level level) noexcept {
    return logger().should_log(spdlog_level(level));
}

void log(log_level level, std::string_view module, std::string_view message, log_fields fields) {
    const auto target = spdlog_level(level);
    if (!logger().should_log(target)) {
        return;
    }
    logger().log(target, "{}",
                 current_format == log_format::json ? json_line(module, message, fields)
                                                    : text_line(module, message, fields));
}

} // namespace immortal::base
