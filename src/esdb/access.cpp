#include "esdb/access.hpp"

#include "base/json.hpp"

#include <algorithm>

namespace immortal::esdb {
namespace {

constexpr std::string_view admins = "$admins";
constexpr std::string_view everybody = "$all";

stream_access all_for(std::string_view role) {
    const stream_access::roles one = std::vector<std::string>{std::string(role)};
    return {.read = one, .write = one, .remove = one, .read_metadata = one, .write_metadata = one};
}

const stream_access::roles& roles_for(const stream_access& acl, stream_right right) {
    switch (right) {
    case stream_right::read:
        return acl.read;
    case stream_right::write:
        return acl.write;
    case stream_right::remove:
        return acl.remove;
    case stream_right::read_metadata:
        return acl.read_metadata;
    case stream_right::write_metadata:
        break;
    }
    return acl.write_metadata;
}

// What the object at `key`, read as an `$acl`, names; `usual` elsewhere.
stream_access list_at(const boost::json::object& settings, std::string_view key,
                      stream_access usual) {
    const boost::json::value* acl = settings.if_contains(key);
    if (acl == nullptr) {
        return usual;
    }
    stream_access out =
        eventlog::parse_stream_metadata(boost::json::serialize(boost::json::object{{"$acl", *acl}}))
            .access;
    const auto fill = [](stream_access::roles& mine, stream_access::roles& other) {
        if (!mine) {
            mine = std::move(other);
        }
    };
    fill(out.read, usual.read);
    fill(out.write, usual.write);
    fill(out.remove, usual.remove);
    fill(out.read_metadata, usual.read_metadata);
    fill(out.write_metadata, usual.write_metadata);
    return out;
}

} // namespace

default_access built_in_access() {
    return {.user_streams = all_for(everybody), .system_streams = all_for(admins)};
}

default_access parse_default_access(std::string_view settings_json) {
    default_access out = built_in_access();
    const auto parsed = base::parse_json(settings_json);
    if (parsed && parsed->is_object()) {
        const auto& settings = parsed->get_object();
        out.user_streams = list_at(settings, "$userStreamAcl", std::move(out.user_streams));
        out.system_streams = list_at(settings, "$systemStreamAcl", std::move(out.system_streams));
    }
    return out;
}

access_target access_target_of(std::string_view stream, stream_right right) {
    if (!eventlog::is_metadata_stream(stream)) {
        return {std::string(stream), right};
    }
    const bool reading = right == stream_right::read || right == stream_right::read_metadata;
    return {std::string(eventlog::described_stream(stream)),
            reading ? stream_right::read_metadata : stream_right::write_metadata};
}

bool may(const principal& who, const access_target& what, const stream_access& acl,
         const default_access& defaults) {
    const stream_access& usual =
        what.stream.starts_with('$') ? defaults.system_streams : defaults.user_streams;
    const auto& own = roles_for(acl, what.right);
    const auto& named = own ? own : roles_for(usual, what.right);
    const auto has = [&who](const std::string& role) { return who.has_role(role); };
    return who.has_role(admins) || (named && std::ranges::any_of(*named, has));
}

} // namespace immortal::esdb
