#include "base/assert.hpp"
#include "base/config.hpp"
#include "base/edit_distance.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace immortal::base {
namespace {

constexpr std::size_t comment_width = 100;

bool is_name_part(std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
}

std::string section_of(std::string_view name) {
    return std::string(name.substr(0, name.find('.')));
}
std::string last_part(std::string_view name) {
    return std::string(name.substr(name.find('.') + 1));
}

std::string toml_text(const config_value& value) {
    struct visitor {
        std::string operator()(bool v) const { return v ? "true" : "false"; }
        std::string operator()(std::int64_t v) const { return fmt::format("{}", v); }
        std::string operator()(double v) const { return fmt::format("{:#}", v); }
        std::string operator()(const std::string& v) const {
            std::string out = "\"";
            for (const char c : v) {
                if (c == '"' || c == '\\')
                    out += '\\';
                out += c;
            }
            return out + '"';
        }
    };
    return std::visit(visitor{}, value);
}

std::string range_text(const config_key& key) {
    if (!key.allowed.empty())
        return fmt::format("One of: {}.", fmt::join(key.allowed, ", "));
    if (std::holds_alternative<std::int64_t>(key.fallback)) {
        const config_key unbounded;
        if (key.maximum >= unbounded.maximum)
            return fmt::format("At least {:.0f}.", key.minimum);
        return fmt::format("From {:.0f} to {:.0f}.", key.minimum, key.maximum);
    }
    if (std::holds_alternative<double>(key.fallback))
        return fmt::format("From {} to {}.", key.minimum, key.maximum);
    return {};
}

// Wraps at word ends; every line starts with "# ".
std::string comment(std::string_view text) {
    std::string out;
    std::size_t column = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (column == 0 || column + 1 + end > comment_width) {
            out += column == 0 ? "# " : "\n# ";
            column = 2;
        } else {
            out += ' ';
            ++column;
        }
        out += text.substr(0, end);
        column += end;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out + '\n';
}

constexpr std::string_view sample_head =
    "# Every key of Immortality's configuration, commented out at its default.\n"
    "#\n"
    "# Stronger wins: default < this file (immortal serve --config FILE) < environment < flags. "
    "The\n"
    "# environment variable of a key is IMMORTAL_SECTION_KEY, for example IMMORTAL_HTTP_PORT for\n"
    "# port in [http]. An unknown key stops the start. This file is generated from the program's\n"
    "# own list of keys; a test keeps the two equal.\n";

} // namespace

config_registry& config_registry::add(config_key key) {
    const std::size_t dot = key.name.find('.');
    IMMORTAL_ASSERT(dot != std::string::npos);
    IMMORTAL_ASSERT(is_name_part(section_of(key.name)) && is_name_part(last_part(key.name)));
    IMMORTAL_ASSERT(!key.doc.empty());
    const std::string variable = environment_name(key.name);
    for (const config_key& other : keys_)
        IMMORTAL_ASSERT(environment_name(other.name) != variable);
    keys_.push_back(std::move(key));
    return *this;
}

config_registry& config_registry::describe_section(std::string section, std::string doc) {
    section_docs_.insert_or_assign(std::move(section), std::move(doc));
    return *this;
}

config_registry& config_registry::ignore_environment(std::string prefix) {
    ignored_prefixes_.push_back(std::move(prefix));
    return *this;
}

const config_key* config_registry::find(std::string_view name) const {
    const auto found = std::ranges::find(keys_, name, &config_key::name);
    return found == keys_.end() ? nullptr : &*found;
}

const config_key& config_registry::nearest(std::string_view name) const {
    IMMORTAL_ASSERT(!keys_.empty());
    return *std::ranges::min_element(keys_, {}, [name](const config_key& key) {
        // A key under the wrong section, or without one, is near as well.
        return std::min(edit_distance(name, key.name),
                        edit_distance(last_part(name), last_part(key.name)) + 1);
    });
}

bool config_registry::ignores_environment(std::string_view variable) const {
    return std::ranges::any_of(ignored_prefixes_, [variable](const std::string& prefix) {
        return variable.starts_with(prefix);
    });
}

std::string config_registry::sample_file() const {
    std::string out(sample_head);
    std::string section;
    for (const config_key& key : keys_) {
        if (const std::string own = section_of(key.name); own != section) {
            section = own;
            out += '\n';
            if (const auto doc = section_docs_.find(section); doc != section_docs_.end())
                out += comment(doc->second);
            out += fmt::format("[{}]\n", section);
        }
        const std::string range = range_text(key);
        out += comment(range.empty() ? key.doc : key.doc + ' ' + range);
        out += fmt::format("#{} = {}\n", last_part(key.name), toml_text(key.fallback));
    }
    return out;
}

std::string config_registry::environment_name(std::string_view key) {
    std::string out = "IMMORTAL_";
    for (const char c : key)
        out += c == '.' ? '_' : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
    return out;
}

} // namespace immortal::base
