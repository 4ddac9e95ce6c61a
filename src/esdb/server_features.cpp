#include "esdb/server_features.hpp"

#include "esdb/typed_call.hpp"
#include "esproto/wire/server_features.grpc.pb.h"

#include <algorithm>

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::server_features;

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

wire::SupportedMethods supported(const method_table& methods) {
    wire::SupportedMethods all;
    all.set_event_store_server_version(protocol_version);
    for (const auto& [path, served] : methods.all()) {
        const auto slash = path.rfind('/');
        wire::SupportedMethod& one = *all.add_methods();
        one.set_service_name(lower(std::string_view(path).substr(1, slash - 1)));
        one.set_method_name(lower(std::string_view(path).substr(slash + 1)));
        for (const std::string& feature : served.features) {
            one.add_features(feature);
        }
    }
    return all;
}

awaitable<rpc_result<wire::SupportedMethods>> get_supported(const method_table& methods) {
    co_return supported(methods);
}

} // namespace

void add_server_features(method_table& methods) {
    methods.add(wire::ServerFeatures::service_full_name(), "GetSupportedMethods",
                {.serve = unasked<wire::SupportedMethods>(
                     [&methods](call& /*asked*/) { return get_supported(methods); }),
                 .access = access_rule::everybody()});
}

} // namespace immortal::esdb
