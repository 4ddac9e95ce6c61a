// Which methods the server has. Filled before it starts; read from any thread afterwards.
#pragma once

#include "esdb/call.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::esdb {

// A call of a method that ends by itself may finish when the server stops; one that goes on for as
// long as the client likes is cancelled at once.
enum class duration : std::uint8_t { ends_by_itself, lasts };

struct method {
    handler serve;
    duration lasting = duration::ends_by_itself;
    std::vector<std::string> features = {}; // told by ServerFeatures
};

class method_table {
public:
    // `service`: full name, such as "event_store.client.streams.Streams" (generated classes give
    // it: Streams::service_full_name()). Naming a method twice is an assertion.
    void add(std::string_view service, std::string_view name, method served);

    // `path`: "/<service>/<name>". Null: not implemented.
    [[nodiscard]] const method* find(std::string_view path) const;
    // By path.
    [[nodiscard]] const std::map<std::string, method, std::less<>>& all() const { return methods_; }

private:
    std::map<std::string, method, std::less<>> methods_;
};

} // namespace immortal::esdb
