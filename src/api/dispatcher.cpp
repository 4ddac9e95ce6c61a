#include "api/dispatcher.hpp"

#include "api/openapi.hpp"
#include "api/problem.hpp"
#include "api/request_checks.hpp"
#include "api/router.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <array>

namespace immortal::api {
namespace {

using base::errc;
using base::fail;
using base::result;
using base::status;

// What is counted of one route.
struct route_metrics {
    std::array<base::counter, 4> answers; // 2xx to 5xx
    base::histogram seconds;
};

route_metrics make_route_metrics(base::metrics& metrics, std::string_view verb,
                                 const std::string& pattern) {
    const auto count = [&](int hundreds) {
        return metrics.make_counter("immortal_http_requests_total", "Requests answered",
                                    {{"method", std::string(verb)},
                                     {"route", pattern},
                                     {"status", std::to_string(hundreds) + "xx"}});
    };
    return {{count(2), count(3), count(4), count(5)},
            metrics.make_histogram("immortal_http_request_seconds",
                                   "From the whole request to the answer",
                                   base::metrics::latency_bounds(),
                                   {{"method", std::string(verb)}, {"route", pattern}})};
}

std::vector<route> with_document(std::vector<route> routes, const std::string& document) {
    route own;
    own.pattern = "/openapi.json";
    own.summary = "This interface as an OpenAPI 3.1 document";
    own.needs = access::anyone;
    own.answer_schema = {{"type", "object"}};
    own.handle = [&document](call&) { return constant_answer(document, freshness::minutes); };
    routes.push_back(std::move(own));
    return routes;
}

std::string number_text(base::position p) {
    return std::to_string(p.value);
}

} // namespace

struct dispatcher::state {
    state(std::vector<route> routes, authenticator who, rate_settings limits,
          const base::clock& time, base::random_source& dice, base::metrics& metrics)
        : authenticate(std::move(who)), clock(time), random(dice), limiter(limits, time),
          table(with_document(std::move(routes), document)),
          unrouted(make_route_metrics(metrics, "ANY", "none")) {
        for (const route& r : table.routes()) {
            counted.push_back(make_route_metrics(metrics, name_of(r.verb), r.pattern));
        }
    }

    std::string document;
    authenticator authenticate;
    const base::clock& clock;
    base::random_source& random;
    rate_limiter limiter;
    router table;
    std::vector<route_metrics> counted;
    route_metrics unrouted;

    response without_route(const match& m, const request& asked) const;
    awaitable<status> admit(const route& r, call& c);
    awaitable<response> run(const route& r, call& c);
    static response finish(const route& r, const call& c, answer given);
    void record(const match& m, const request& asked, unsigned code, base::steady_time started);
};

response dispatcher::state::without_route(const match& m, const request& asked) const {
    if (m.malformed) {
        return to_problem(400,
                          {errc::invalid_argument,
                           "The path holds a broken percent escape.",
                           "malformed_path",
                           {},
                           0},
                          asked.request_id);
    }
    const bool whole_server = asked.target == "*" && asked.verb == method::options;
    if (whole_server || (asked.verb == method::options && !m.allowed.empty())) {
        response out;
        out.status = 204;
        out.add_header("Allow", whole_server ? "GET, HEAD, POST, DELETE, OPTIONS" : m.allowed);
        return out;
    }
    if (m.allowed.empty()) {
        return to_problem({errc::not_found, "There is nothing at this address.", {}, {}, 0},
                          asked.request_id);
    }
    response out = to_problem(405,
                              {errc::invalid_argument,
                               "This address does not know the method.",
                               "method_not_allowed",
                               {},
                               0},
                              asked.request_id);
    out.add_header("Allow", m.allowed);
    return out;
}

// Everything that is checked before the handler. Cheap checks first.
awaitable<status> dispatcher::state::admit(const route& r, call& c) {
    if (r.needs == access::machine && !c.asked.source.loopback) {
        co_return fail(errc::not_found, "There is nothing at this address.");
    }
    if (r.limit != rate_class::none) {
        if (status s = limiter.take(rate_class::request, c.asked.source.group); !s) {
            co_return s;
        }
        if (r.limit == rate_class::log_in || r.limit == rate_class::sign_up) {
            if (status s = limiter.take(r.limit, c.asked.source.group); !s) {
                co_return s;
            }
        }
    }
    if (r.needs == access::user || r.needs == access::staff) {
        result<std::string> token = bearer_token(c.asked.authorization);
        if (!token) {
            co_return fail(std::move(token.error()));
        }
        result<caller> who = co_await authenticate(std::move(*token));
        if (!who) {
            co_return fail(std::move(who.error()));
        }
        c.who = std::move(*who);
        if (r.needs == access::staff && !is_staff(*c.who)) {
            co_return fail(errc::forbidden, "This needs the role of a game master.");
        }
    }
    if (status s = read_query(r, c); !s) {
        co_return s;
    }
    if (r.key == keyed::yes) {
        if (status s = read_idempotency_key(c, random); !s) {
            co_return s;
        }
    }
    if (status s = read_body(r, c); !s) {
        co_return s;
    }
    if (r.limit == rate_class::command) {
        co_return limiter.take(rate_class::command, acting_key(c));
    }
    co_return status{};
}

awaitable<response> dispatcher::state::run(const route& r, call& c) {
    if (status s = co_await admit(r, c); !s) {
        response out = form_problem(s.error(), c.asked.request_id);
        if (!c.idempotency_key.empty()) {
            out.add_header("Idempotency-Key", c.idempotency_key);
        }
        co_return out;
    }
    result<answer> given = co_await r.handle(c);
    if (given) {
        co_return finish(r, c, std::move(*given));
    }
    response out = to_problem(given.error(), c.asked.request_id);
    if (!c.idempotency_key.empty()) {
        out.add_header("Idempotency-Key", c.idempotency_key);
    }
    co_return out;
}

response dispatcher::state::finish(const route& r, const call& c, answer given) {
    response out;
    out.status = given.status;
    out.content_type = given.content_type;
    out.body = std::move(given.body);
    out.headers.reserve(192);
    if (given.position) {
        out.add_header("Immortal-Position", number_text(*given.position));
    }
    if (given.as_of) {
        out.add_header("Immortal-As-Of", number_text(*given.as_of));
    }
    if (!c.idempotency_key.empty()) {
        out.add_header("Idempotency-Key", c.idempotency_key);
        if (given.repeated) {
            out.add_header("Idempotent-Replayed", "true");
        }
    }
    if (!given.location.empty()) {
        out.add_header("Location", given.location);
    }
    switch (given.kept) {
    case freshness::no_store:
        out.add_header("Cache-Control", "no-store");
        break;
    case freshness::revalidate:
        out.add_header("Cache-Control", "private, no-cache");
        break;
    case freshness::minutes:
        out.add_header("Cache-Control", "public, max-age=60");
        break;
    }
    if (!given.tag.empty()) {
        out.add_header("ETag", '"' + given.tag + '"');
        if (r.verb == method::get && matches_tag(c.asked.if_none_match, given.tag)) {
            out.status = 304;
            out.body.clear();
        }
    }
    return out;
}

void dispatcher::state::record(const match& m, const request& asked, unsigned code,
                               base::steady_time started) {
    const std::chrono::duration<double> taken = clock.steady_now() - started;
    route_metrics& of_route = m.found != nullptr ? counted[m.index] : unrouted;
    of_route.answers[std::clamp(code / 100, 2u, 5u) - 2].add();
    of_route.seconds.observe(taken.count());
    if (base::log_enabled(base::log_level::debug)) {
        base::log_debug("api", "request",
                        {{"method", name_of(asked.verb)},
                         {"route", m.found != nullptr ? m.found->pattern : std::string("none")},
                         {"status", code},
                         {"seconds", taken.count()},
                         {"source", asked.source.text},
                         {"request_id", asked.request_id}});
    }
}

dispatcher::dispatcher(std::vector<route> routes, authenticator authenticate, rate_settings limits,
                       const base::clock& clock, base::random_source& random,
                       base::metrics& metrics, std::string version)
    : state_(std::make_unique<state>(std::move(routes), std::move(authenticate), limits, clock,
                                     random, metrics)) {
    state_->document = openapi_document(state_->table.routes(), version);
}

dispatcher::~dispatcher() = default;

awaitable<response> dispatcher::handle(const request& asked) {
    const base::steady_time started = state_->clock.steady_now();
    match m = state_->table.find(asked.verb, asked.path());
    if (m.found == nullptr) {
        response out;
        const status s = state_->limiter.take(rate_class::request, asked.source.group);
        out = s ? state_->without_route(m, asked) : to_problem(s.error(), asked.request_id);
        state_->record(m, asked, out.status, started);
        co_return out;
    }
    call c(asked);
    c.ids = std::move(m.ids);
    c.names = std::move(m.names);
    response out = co_await state_->run(*m.found, c);
    state_->record(m, asked, out.status, started);
    co_return out;
}

const std::vector<route>& dispatcher::routes() const {
    return state_->table.routes();
}

const std::string& dispatcher::openapi() const {
    return state_->document;
}

} // namespace immortal::api
