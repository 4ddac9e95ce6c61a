// From a request to an answer: route, limits, authentication, body, handler, headers, access log.
#pragma once

#include "api/http_server.hpp"
#include "api/rate_limiter.hpp"
#include "api/route.hpp"
#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace immortal::api {

// Finds who a bearer token belongs to. Errors: unauthenticated; unavailable.
using authenticator = std::function<awaitable<base::result<caller>>(std::string token)>;

constexpr std::size_t text_size_max = 1'024; // of any text in a body, bytes
constexpr std::size_t token_size_max = 256;
constexpr std::size_t idempotency_key_size_max = 128;

// Thread-safe. Keep it alive until the server that calls it has stopped.
class dispatcher {
public:
    // `clock`, `random` and `metrics` outlive it. `version` names the interface in the OpenAPI
    // document, which is served as GET /openapi.json beside the given routes.
    dispatcher(std::vector<route> routes, authenticator authenticate, rate_settings limits,
               const base::clock& clock, base::random_source& random, base::metrics& metrics,
               std::string version);
    ~dispatcher();

    // Never fails: every error is a problem document. An exception of a handler passes through.
    awaitable<response> handle(const request& asked);

    [[nodiscard]] const std::vector<route>& routes() const;
    [[nodiscard]] const std::string& openapi() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::api
