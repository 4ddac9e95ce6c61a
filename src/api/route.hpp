// Routes as data: what the router, the checks, the OpenAPI document and the tests read.
#pragma once

#include "accounts/service.hpp"
#include "api/http_server.hpp"
#include "api/message.hpp"
#include "api/rate_limiter.hpp"
#include "api/uri.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::api {

// Who is asking.
using caller = accounts::principal;
[[nodiscard]] inline bool is_staff(const caller& who) noexcept {
    return who.rank != accounts::role::player;
}

// One call of a route: everything its handler may use. Outlives the handler's coroutine.
struct call {
    explicit call(const request& from) : asked(from) {}

    const request& asked;
    std::vector<base::uuid> ids;    // the pattern's {...:uuid} segments, in order
    std::vector<std::string> names; // the pattern's {...:name} segments, in order
    query_parameters query;         // only names the route lists
    std::optional<caller> who;      // set on every route that is not for anyone
    base::json::value body;         // of routes with a body
    std::string idempotency_key;    // of routes with one; the client's or made here
    std::optional<base::position> after;

    [[nodiscard]] const std::string* parameter(std::string_view name) const noexcept;
    // The value of an integer parameter, or `otherwise`. Error: invalid_argument with the field.
    [[nodiscard]] base::result<std::int64_t> integer(std::string_view name, std::int64_t otherwise,
                                                     std::int64_t min, std::int64_t max) const;
};

enum class freshness : std::uint8_t {
    no_store,   // private or of the moment
    revalidate, // may be kept by the client, asked again with If-None-Match
    minutes,    // reference data: may be used for a minute without asking
};

struct answer {
    unsigned status = 200;
    std::string body;
    std::string_view content_type = "application/json";
    std::optional<base::position> position; // Immortal-Position
    std::optional<base::position> as_of;    // Immortal-As-Of
    std::string tag;                        // the ETag's text, unquoted; empty: none
    std::string location;                   // of what was created
    freshness kept = freshness::no_store;
    bool repeated = false; // the first answer to this Idempotency-Key, given again
};

using route_handler = std::function<awaitable<base::result<answer>>(call& c)>;

enum class access : std::uint8_t { anyone, user, staff, machine }; // machine: loopback sources
enum class needs_body : std::uint8_t { none, optional, required };
enum class keyed : std::uint8_t { no, yes }; // takes an Idempotency-Key

struct query_rule {
    enum class kind : std::uint8_t { text, integer, position, flag };
    std::string name;
    kind what = kind::text;
    std::string meaning;
};

struct route {
    method verb = method::get;
    std::string pattern = {}; // "/v1/players/{playerId:uuid}/rest"; kinds: uuid, name
    std::string summary = {};
    access needs = access::user;
    rate_class limit = rate_class::request;
    keyed key = keyed::no;
    needs_body body = needs_body::none;
    base::json::object body_schema = {}; // JSON Schema
    std::vector<query_rule> query = {};
    unsigned success = 200;
    base::json::object answer_schema = {};    // empty: not JSON, or no body
    std::vector<std::string> rejections = {}; // `code`s of its 409 answers, for the document
    route_handler handle = {};
};

// A coroutine that only answers with an error.
awaitable<base::result<answer>> refused(base::error why);

} // namespace immortal::api
