// The only file that includes toml++.
#include "base/config.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <optional>

namespace immortal::base {
namespace {

// The value, when the node has the type of the key; a whole number serves as a decimal one.
std::optional<config_value> value_of(const toml::node& node, const config_key& key) {
    if (std::holds_alternative<bool>(key.fallback) && node.is_boolean())
        return config_value(node.as_boolean()->get());
    if (std::holds_alternative<std::int64_t>(key.fallback) && node.is_integer())
        return config_value(node.as_integer()->get());
    if (std::holds_alternative<double>(key.fallback) && node.is_number())
        return config_value(*node.value<double>());
    if (std::holds_alternative<std::string>(key.fallback) && node.is_string())
        return config_value(node.as_string()->get());
    return std::nullopt;
}

std::string_view type_name(const toml::node& node) {
    if (node.is_table())
        return "a section";
    if (node.is_array())
        return "a list";
    if (node.is_string())
        return "text";
    if (node.is_boolean())
        return "true or false";
    if (node.is_integer())
        return "a whole number";
    if (node.is_floating_point())
        return "a decimal number";
    return "a date or time";
}

std::string_view type_name(const config_key& key) {
    switch (key.fallback.index()) {
    case 0:
        return "true or false";
    case 1:
        return "a whole number";
    case 2:
        return "a number";
    default:
        return "text in quotes";
    }
}

std::string place(const std::string& source, const toml::source_region& region) {
    return fmt::format("{}:{}", source, region.begin.line);
}

} // namespace

status config::load_toml(std::string_view text, const std::string& source) {
    toml::table root;
    try {
        root = toml::parse(text, source);
    } catch (const toml::parse_error& broken) {
        return fail(errc::invalid_argument,
                    fmt::format("{}: not valid TOML: {}", place(source, broken.source()),
                                broken.description()),
                    "bad_config_file");
    }
    for (const auto& [section, node] : root) {
        const toml::table* table = node.as_table();
        if (table == nullptr)
            return unknown_key(place(source, node.source()), section.str());
        for (const auto& [last, value] : *table) {
            const std::string name = fmt::format("{}.{}", section.str(), last.str());
            const std::string where = place(source, value.source());
            const config_key* key = registry_->find(name);
            if (key == nullptr)
                return unknown_key(where, name);
            auto converted = value_of(value, *key);
            if (!converted)
                return fail(errc::invalid_argument,
                            fmt::format("{}: {} must be {}, not {}", where, name, type_name(*key),
                                        type_name(value)),
                            "bad_config_value", name);
            if (auto done = assign(*key, std::move(*converted), config_layer::file, where); !done)
                return done;
        }
    }
    return {};
}

} // namespace immortal::base
