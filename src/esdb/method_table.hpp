// Which methods the server has. Filled before it starts; read from any thread afterwards.
#pragma once

#include "esdb/access_rule.hpp"
#include "esdb/call.hpp"
#include "esdb/caller_ledger.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::esdb {

// A call of a method that ends by itself may finish when the server stops; one that goes on for as
// long as the client likes is cancelled at once.
enum class duration : std::uint8_t { ends_by_itself, lasts };

// What its messages are like: how long one may take to come, how large it may be, and whether only
// so many begin to come at once (receive_gate: the large ones).
enum class intake : std::uint8_t {
    small,          // one request of at most small_message_max bytes
    large,          // one request that carries the payload
    messages,       // a first one at once, then payload, to the end of the request
    large_messages, // payload from the first one on, to the end of the request
    open_ended,     // a first one, then whenever the client likes
    small_messages, // the same, each of at most small_message_max bytes
};

inline constexpr std::size_t small_message_max = 1u << 20;

struct method {
    handler serve;
    access_rule access; // stated by every method
    call_kind kind = call_kind::short_call;
    intake receives = intake::small;
    duration lasting = duration::ends_by_itself;
    std::vector<std::string> features = {}; // told by ServerFeatures
};

class method_table {
public:
    // `service`: full name, such as "event_store.client.streams.Streams" (generated classes give
    // it: Streams::service_full_name()). Naming a method twice, or one without a rule of access, is
    // an assertion.
    void add(std::string_view service, std::string_view name, method served);

    // `path`: "/<service>/<name>". Null: not implemented.
    [[nodiscard]] const method* find(std::string_view path) const;
    // By path.
    [[nodiscard]] const std::map<std::string, method, std::less<>>& all() const { return methods_; }

private:
    std::map<std::string, method, std::less<>> methods_;
};

} // namespace immortal::esdb
