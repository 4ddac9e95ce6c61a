#include "esdb/reserved_streams.hpp"

#include "base/json.hpp"
#include "esdb/group_definition.hpp"
#include "esdb/user_record.hpp"
#include "eventlog/stream_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace immortal::esdb {
namespace {

using base::errc;
using eventlog::new_event;
using eventlog::stream_write;

// How a family of reserved streams is named, and how it changes instead.
struct family {
    std::string_view prefix;
    bool whole; // `prefix` is a whole name
    std::string_view instead;
};
constexpr std::string_view by_users = "users change through the Users service";
constexpr std::string_view by_groups =
    "persistent subscriptions change through their own service, with its Update and Delete";
constexpr std::string_view by_scavenges = "the server keeps its records of scavenges itself";
constexpr std::array families{
    family{settings_stream, true, "write the settings that shall hold as a new event"},
    family{user_list_stream, true, by_users},
    family{user_stream_prefix, false, by_users},
    family{group_config_stream, false, by_groups},
    family{"$persistentsubscription-", false, by_groups},
    family{scavenges_stream, true, by_scavenges},
    family{"$scavenges-", false, by_scavenges},
};

// Null: the name is not reserved. Without its `$$`.
const family* family_of(std::string_view stream) {
    const auto found = std::ranges::find_if(families, [stream](const family& one) {
        return one.whole ? stream == one.prefix : stream.starts_with(one.prefix);
    });
    return found == families.end() ? nullptr : &*found;
}

std::string_view described(std::string_view stream) {
    while (eventlog::is_metadata_stream(stream)) {
        stream = eventlog::described_stream(stream);
    }
    return stream;
}

std::unexpected<base::error> refuse(const std::string& stream, std::string_view why) {
    return base::fail(errc::invalid_argument,
                      fmt::format("The server relies on the stream '{}': {}.", stream, why),
                      "reserved_stream", stream);
}

bool is_role_list(const boost::json::value& roles) {
    return roles.is_null() || roles.is_string() ||
           (roles.is_array() && std::ranges::all_of(roles.get_array(), [](const auto& role) {
                return role.is_string();
            }));
}

bool is_access_list(const boost::json::value& acl) {
    constexpr std::array<std::string_view, 5> rights{"$r", "$w", "$d", "$mr", "$mw"};
    return acl.is_null() ||
           (acl.is_object() && std::ranges::all_of(acl.get_object(), [&](const auto& one) {
                return std::ranges::find(rights, std::string_view(one.key())) != rights.end() &&
                       is_role_list(one.value());
            }));
}

// What would hide events of a stream that must stay readable.
base::status check_metadata(const stream_write& write, const new_event& event) {
    if (event.type != eventlog::metadata_type || event.format != eventlog::content::json) {
        return refuse(write.stream, "its metadata is an event of type '$metadata' with JSON");
    }
    const auto parsed = base::parse_json(event.data);
    if (!parsed || !parsed->is_object()) {
        return refuse(write.stream, "its metadata is a JSON object");
    }
    const auto& members = parsed->get_object();
    if (const auto* acl = members.if_contains("$acl"); acl != nullptr && !is_access_list(*acl)) {
        return refuse(write.stream, "its '$acl' names roles for '$r', '$w', '$d', '$mr' and '$mw'");
    }
    const bool history = described(write.stream).starts_with(scavenges_stream);
    const bool hides =
        std::ranges::any_of(std::array{"$maxCount", "$maxAge", "$tb"}, [&](const char* member) {
            return members.if_contains(member) != nullptr;
        });
    if (hides && !(history && !eventlog::parse_stream_metadata(event.data).soft_deleted())) {
        return refuse(write.stream, "nothing of it may be hidden; its metadata may have an '$acl' "
                                    "and members of your own");
    }
    return {};
}

base::status check_settings_event(const stream_write& write, const new_event& event) {
    constexpr std::array<std::string_view, 4> others{eventlog::metadata_type,
                                                     eventlog::tombstone_type, eventlog::link_type,
                                                     eventlog::stream_reference_type};
    if (std::ranges::find(others, event.type) != others.end()) {
        return refuse(write.stream,
                      fmt::format("an event of type '{}' is no settings", event.type));
    }
    const auto understood = check_settings(event.data);
    return understood ? understood : refuse(write.stream, understood.error().message);
}

} // namespace

bool is_reserved(std::string_view stream) {
    return family_of(described(stream)) != nullptr;
}

base::status check_kept(std::string_view stream, const kept_families& kept) {
    const std::string_view subject = described(stream);
    const auto found = std::ranges::find_if(kept, [subject](const kept_family& one) {
        return one.whole ? subject == one.name : subject.starts_with(one.name);
    });
    if (found == kept.end()) {
        return {};
    }
    return base::fail(errc::forbidden,
                      fmt::format("The stream '{}' is kept by this server and is for reading only: "
                                  "{}.",
                                  stream, found->instead),
                      "reserved_stream", std::string(stream));
}

base::status check_client_write(const stream_write& write, protection level,
                                const kept_families& kept) {
    const bool changes = !write.events.empty() || write.what == stream_write::action::soft_delete ||
                         write.what == stream_write::action::tombstone;
    if (changes) {
        if (auto allowed = check_kept(write.stream, kept); !allowed) {
            return allowed;
        }
    }
    const std::string_view subject = described(write.stream);
    const family* rule = family_of(subject);
    if (rule == nullptr) {
        return {};
    }
    if (write.what == stream_write::action::soft_delete ||
        write.what == stream_write::action::tombstone) {
        return refuse(write.stream, fmt::format("it cannot be deleted; {}", rule->instead));
    }
    if (write.events.empty()) {
        return {};
    }
    const bool metadata = subject != write.stream;
    if (!metadata && subject != settings_stream) {
        return refuse(write.stream, fmt::format("it cannot be written; {}", rule->instead));
    }
    if (level == protection::open) {
        return refuse(write.stream, "it is written by an administrator only, and there is none "
                                    "without TLS; start the store with a certificate");
    }
    for (const new_event& event : write.events) {
        auto understood =
            metadata ? check_metadata(write, event) : check_settings_event(write, event);
        if (!understood) {
            return understood;
        }
    }
    return {};
}

base::status check_settings(std::string_view json) {
    const auto parsed = base::parse_json(json);
    if (!parsed || !parsed->is_object()) {
        return base::fail(errc::invalid_argument, "the settings are a JSON object");
    }
    for (const auto& one : parsed->get_object()) {
        const bool known = one.key() == "$userStreamAcl" || one.key() == "$systemStreamAcl";
        if (!known || !is_access_list(one.value())) {
            return base::fail(errc::invalid_argument,
                              "the settings have '$userStreamAcl' and '$systemStreamAcl', which "
                              "name roles for '$r', '$w', '$d', '$mr' and '$mw', and nothing else");
        }
    }
    return {};
}

} // namespace immortal::esdb
