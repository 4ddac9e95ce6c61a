#include "base/config.hpp"

#include "base/assert.hpp"
#include "base/small_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <unistd.h>

namespace immortal::base {
namespace {

template <typename T>
std::optional<T> parse_number(const std::string& text) {
    T value{};
    const char* end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, value);
    if (text.empty() || code != std::errc{} || stop != end)
        return std::nullopt;
    return value;
}

std::string expectation(const config_key& key) {
    struct visitor {
        const config_key& key;
        std::string operator()(bool) const { return "true or false"; }
        std::string operator()(std::int64_t) const {
            return fmt::format("a whole number from {:.0f} to {:.0f}", key.minimum, key.maximum);
        }
        std::string operator()(double) const {
            return fmt::format("a number from {} to {}", key.minimum, key.maximum);
        }
        std::string operator()(const std::string&) const {
            return key.allowed.empty() ? "text in quotes"
                                       : fmt::format("one of {}", fmt::join(key.allowed, ", "));
        }
    };
    return std::visit(visitor{key}, key.fallback);
}

std::string shown(const config_value& value) {
    return std::visit([](const auto& v) { return fmt::format("{}", v); }, value);
}

std::unexpected<error> refuse(const config_key& key, const std::string& source,
                              const std::string& given) {
    return fail(errc::invalid_argument,
                fmt::format("{}: {} must be {}, not {}", source, key.name, expectation(key),
                            key.secret ? "what was given" : "\"" + given + "\""),
                "bad_config_value", key.name);
}

bool within(const config_key& key, const config_value& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value))
        return static_cast<double>(*integer) >= key.minimum &&
               static_cast<double>(*integer) <= key.maximum;
    if (const auto* number = std::get_if<double>(&value))
        return std::isfinite(*number) && *number >= key.minimum && *number <= key.maximum;
    if (const auto* text = std::get_if<std::string>(&value))
        return key.allowed.empty() || std::ranges::find(key.allowed, *text) != key.allowed.end();
    return true;
}

} // namespace

config::config(const config_registry& registry) : registry_(&registry) {
    for (const config_key& key : registry.keys())
        slots_.emplace(key.name, slot{key.fallback});
}

status config::load_file(const std::filesystem::path& path) {
    const auto content = read_small_file(path);
    if (!content)
        return fail(content.error().code,
                    fmt::format("The configuration file {}.", content.error().message));
    return load_toml(*content, path.string());
}

status config::load_environment() {
    std::map<std::string, std::string> variables;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        if (const std::size_t equals = text.find('='); equals != std::string_view::npos)
            variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return load_environment(variables);
}

status config::load_environment(const std::map<std::string, std::string>& variables) {
    for (const auto& [variable, text] : variables) {
        if (!variable.starts_with("IMMORTAL_") || registry_->ignores_environment(variable))
            continue;
        const auto key =
            std::ranges::find(registry_->keys(), variable, [](const config_key& known) {
                return config_registry::environment_name(known.name);
            });
        if (key == registry_->keys().end()) {
            std::string dotted = variable.substr(std::string_view("IMMORTAL_").size());
            std::ranges::transform(dotted, dotted.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            });
            return fail(
                errc::invalid_argument,
                fmt::format("environment variable {} is not known; did you mean {}?", variable,
                            config_registry::environment_name(registry_->nearest(dotted).name)),
                "unknown_config_key", variable);
        }
        if (auto done = assign_text(*key, text, config_layer::environment, variable); !done)
            return done;
    }
    return {};
}

status config::set_flag(const std::string& source, std::string_view key, const std::string& text) {
    const config_key* known = registry_->find(key);
    if (known == nullptr)
        return unknown_key(source, key);
    return assign_text(*known, text, config_layer::flag, source);
}

status config::assign_text(const config_key& key, const std::string& text, config_layer layer,
                           const std::string& source) {
    if (std::holds_alternative<std::string>(key.fallback))
        return assign(key, text, layer, source);
    if (std::holds_alternative<bool>(key.fallback)) {
        if (text != "true" && text != "false")
            return refuse(key, source, text);
        return assign(key, text == "true", layer, source);
    }
    if (std::holds_alternative<std::int64_t>(key.fallback)) {
        const auto parsed = parse_number<std::int64_t>(text);
        return parsed ? assign(key, *parsed, layer, source) : refuse(key, source, text);
    }
    const auto parsed = parse_number<double>(text);
    return parsed ? assign(key, *parsed, layer, source) : refuse(key, source, text);
}

status config::assign(const config_key& key, config_value value, config_layer layer,
                      const std::string& source) {
    if (!within(key, value))
        return refuse(key, source, shown(value));
    slot& target = slots_.find(key.name)->second;
    if (layer >= target.layer)
        target = slot{std::move(value), layer, source};
    return {};
}

std::unexpected<error> config::unknown_key(const std::string& source, std::string_view name) const {
    return fail(errc::invalid_argument,
                fmt::format("{}: unknown key \"{}\"; did you mean \"{}\"?", source, name,
                            registry_->nearest(name).name),
                "unknown_config_key", std::string(name));
}

const config::slot& config::at(std::string_view name) const {
    const auto found = slots_.find(name);
    IMMORTAL_ASSERT(found != slots_.end());
    return found->second;
}

bool config::boolean(std::string_view name) const {
    const auto* value = std::get_if<bool>(&at(name).value);
    IMMORTAL_ASSERT(value != nullptr);
    return *value;
}

std::int64_t config::integer(std::string_view name) const {
    const auto* value = std::get_if<std::int64_t>(&at(name).value);
    IMMORTAL_ASSERT(value != nullptr);
    return *value;
}

double config::number(std::string_view name) const {
    const auto* value = std::get_if<double>(&at(name).value);
    IMMORTAL_ASSERT(value != nullptr);
    return *value;
}

const std::string& config::text(std::string_view name) const {
    const auto* value = std::get_if<std::string>(&at(name).value);
    IMMORTAL_ASSERT(value != nullptr);
    return *value;
}

const std::string& config::source_of(std::string_view name) const {
    return at(name).source;
}

bool config::is_default(std::string_view name) const {
    return at(name).layer == config_layer::defaults;
}

std::string config::describe() const {
    std::string out;
    for (const config_key& key : registry_->keys()) {
        const slot& given = at(key.name);
        std::string value = shown(given.value);
        if (key.secret)
            value = given.layer == config_layer::defaults || value.empty() ? "(not set)" : "(set)";
        else if (std::holds_alternative<std::string>(given.value))
            value = '"' + value + '"';
        out += fmt::format("{} = {}  # {}\n", key.name, value, given.source);
    }
    return out;
}

} // namespace immortal::base
