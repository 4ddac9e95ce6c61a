#include "eventstore/system_events.hpp"

#include "eventlog/stream_metadata.hpp"

#include <array>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace immortal::eventstore {
namespace {

using eventlog::content;
using eventlog::new_event;
using eventlog::stream_write;

constexpr std::array system_projections{"$streams", "$stream_by_category", "$by_category",
                                        "$by_event_type", "$by_correlation_id"};

new_event event_of(const std::string& stream, const char* type, std::string data, content format) {
    return {
        base::uuid::make_derived(stream, type + (':' + data)), type, std::move(data), {}, format};
}

stream_write first_write(std::string stream, std::vector<new_event> events) {
    stream_write out;
    out.stream = std::move(stream);
    out.expected = eventlog::expected_revision::no_stream();
    out.events = std::move(events);
    return out;
}

stream_write metadata_write(const char* stream, std::string json) {
    const std::string holder = eventlog::metadata_stream_of(stream);
    std::vector<new_event> events;
    events.push_back(event_of(holder, eventlog::metadata_type, std::move(json), content::json));
    return first_write(holder, std::move(events));
}

std::vector<stream_write> system_writes() {
    std::vector<stream_write> out;
    // Thirty days, and ten.
    constexpr const char* acl = R"("$acl":{"$r":["$admins","$ops"]}})";
    out.push_back(metadata_write("$scavenges", std::string(R"({"$maxAge":2592000,)") + acl));
    out.push_back(
        metadata_write("$stats-127.0.0.1:2113", std::string(R"({"$maxAge":864000,)") + acl));
    const std::string registry = "$projections-$all";
    std::vector<new_event> registered;
    registered.push_back(event_of(registry, "$ProjectionsInitialized", {}, content::binary));
    for (const char* name : system_projections) {
        registered.push_back(event_of(registry, "$ProjectionCreated", name, content::binary));
    }
    out.push_back(first_write(registry, std::move(registered)));
    for (const char* name : system_projections) {
        const std::string stream = std::string("$projections-") + name;
        std::vector<new_event> defined;
        defined.push_back(event_of(stream, "$ProjectionUpdated",
                                   std::string(R"({"name":")") + name +
                                       R"(","mode":"Continuous","enabled":true,"view":true})",
                                   content::json));
        out.push_back(first_write(stream, std::move(defined)));
    }
    return out;
}

} // namespace

base::status write_system_events(eventlog::log& log) {
    if (log.head().last_event) {
        return {};
    }
    auto promise = std::make_shared<std::promise<base::result<eventlog::append_outcome>>>();
    auto written = promise->get_future();
    log.append(system_writes(), [promise](base::result<eventlog::append_outcome> outcome) {
        promise->set_value(std::move(outcome));
    });
    auto outcome = written.get();
    return outcome ? base::status{} : base::fail(std::move(outcome.error()));
}

} // namespace immortal::eventstore
