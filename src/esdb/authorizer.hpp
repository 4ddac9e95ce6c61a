// The hook that decides who calls and what they may do. Without security everybody may do
// everything (make_open_authorizer).
#pragma once

#include "base/result.hpp"
#include "esdb/principal.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>
#include <vector>

namespace immortal::esdb {

using boost::asio::awaitable;

// What a call brings along; empty where it brought nothing.
struct call_headers {
    std::string authorization;    // "Basic ...", never logged
    std::string connection_name;  // the client's own name for its connection
    std::string peer;             // "ipv4:127.0.0.1:40000"
    std::string authority;        // the address the client used for this server: "localhost:2113"
    std::string certificate_name; // common name of a verified client certificate
    bool requires_leader = false;
};

struct stream_need {
    std::string stream;
    stream_right right = stream_right::read;
};
using stream_needs = std::vector<stream_need>;

// Beside streams.
enum class operation : std::uint8_t {
    persistent_subscriptions, // create, update, delete, replay, list; reading is read of the stream
    projections,
    operations, // scavenge, shutdown
    users,      // beside one's own password
    statistics,
};

// Coroutines on any executor; thread-safe; outlives the server.
class authorizer {
public:
    virtual ~authorizer() = default;

    // Errors: unauthenticated (credentials were given and are wrong), unavailable (not ready),
    // rate_limited. No credentials: an anonymous principal.
    virtual awaitable<base::result<principal>> authenticate(call_headers headers) = 0;
    // `stream`: "$all" for reads of everything. Errors: forbidden, and those of the store.
    virtual awaitable<base::status> may_access(principal who, stream_right right,
                                               std::string stream) = 0;
    // The same for each, in order, up to the first that is refused: `field` of the error names its
    // stream. Lets others have their turn on the executor in between.
    virtual awaitable<base::status> may_access_each(principal who, stream_needs needs);
    // Whether `who` may have a right to any stream at all: what is asked before anything is
    // received from them. Errors: forbidden.
    virtual awaitable<base::status> may_use_streams(principal who);
    // Errors: forbidden.
    virtual awaitable<base::status> may_operate(principal who, operation what) = 0;

protected:
    // Before each stream of many: a store in memory answers at once. `number`: of that stream.
    static awaitable<void> take_turns(std::size_t number);
};

// Everybody is an administrator; credentials are not looked at.
[[nodiscard]] std::unique_ptr<authorizer> make_open_authorizer();

} // namespace immortal::esdb
