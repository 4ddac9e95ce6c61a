// Connection strings of any bytes: what is accepted can be used, and what is said for people never
// holds the password.
#include "eventstore/connection_string.hpp"
#include "fuzz.hpp"

using namespace immortal; // NOLINT: a fuzz target

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto settings = eventstore::parse_connection_string(fuzz::text_of(data, size));
    if (!settings) {
        fuzz::require(!settings.error().message.empty());
        return 0;
    }
    fuzz::require(!settings->hosts.empty());
    for (const auto& host : settings->hosts) {
        fuzz::require(!host.host.empty() && host.port != 0);
    }
    auto other = *settings;
    other.login.reset();
    other.password = "another";
    fuzz::require(eventstore::describe(other) == eventstore::describe(*settings));
    return 0;
}
