#include "api/full_stack.hpp"
#include "base/log.hpp"
#include "eventstore/memory_store.hpp"
#include "game/catalog.hpp"
#include "readmodel/migrations.hpp"

#include <cstdlib>
#include <stdexcept>

namespace immortal::api::testing {
namespace {

using namespace std::chrono_literals;

void require(bool condition, const std::string& what) {
    if (!condition) {
        base::log_error("test", "set-up failed", {{"what", what}});
        throw std::runtime_error("test set-up: " + what);
    }
}

postgres::settings database_settings(const postgres::scratch_database& scratch) {
    postgres::settings out;
    out.uri = scratch.uri();
    out.connect_timeout = 20s; // a loaded machine is slow, not wrong
    out.statement_timeout = 30s;
    out.waiting_timeout = 30s;
    return out;
}

accounts::settings cheap_accounts() {
    accounts::settings out;
    out.hash_memory_bytes = 64 << 10;
    out.hash_passes = 1;
    out.sessions_max = 1 << 20;
    out.logins_per_minute = 0;
    out.registrations_per_hour = 0;
    return out;
}

application::settings generous() {
    application::settings out;
    out.http.port = 0;
    out.http.read_timeout = 30s;
    out.http.request_timeout = 60s;
    out.rates.request = {};
    out.rates.log_in = {};
    out.rates.sign_up = {};
    out.rates.command = {};
    return out;
}

} // namespace

full_stack::full_stack() : game_clock_(*base::parse_iso("2026-01-31T08:00:00.000Z")) {
    engine_.start();
    const auto executor = engine_.executor();
    database_ = postgres::make_database(executor, database_settings(scratch_), metrics_);
    const auto migrated = engine_.run(postgres::migrate(*database_, readmodel::migrations()));
    require(migrated.has_value(), "migrations");

    const char* redis_uri = std::getenv("IMMORTAL_TEST_REDIS");
    require(redis_uri != nullptr, "run through tests/with_services postgres redis --");
    redis::settings redis_settings;
    redis_settings.uri = redis_uri;
    redis_settings.command_timeout = 20s;
    redis_settings.connect_timeout = 20s;
    redis_ = redis::make_client(executor, redis_settings, metrics_);
    engine_.run(redis_->run({"FLUSHDB"}));

    const game::catalog& catalog = game::catalog::builtin();
    store_ = eventstore::make_memory_store(game_clock_);
    cache::service::options cache_options;
    cache_options.cache.identity = store_->identity();
    cache_options.cache.freshener = "test";
    cache_options.cache.exclusive = true;
    cache_ = std::make_unique<cache::service>(
        executor, redis_.get(),
        redis::make_subscriber(executor, redis_settings,
                               {std::string(cache::invalidation_channel)}),
        clock_, random_, metrics_, cache_options);
    cache_->start();
    commands_ = std::make_unique<commands::service>(
        executor, commands::service::parts{*store_, catalog, game_clock_, random_, metrics_},
        commands::service_settings{.timeout = 30s});
    queries_ = std::make_unique<readmodel::queries>(*database_, *store_);
    readmodel::view_settings view_settings;
    view_settings.after_deadline = 20s;
    views_ = std::make_unique<readmodel::views>(*queries_, progress_, *store_, cache_.get(), clock_,
                                                view_settings);
    projector_ = std::make_unique<readmodel::projector>(
        executor,
        readmodel::projector::parts{*database_, *store_, catalog, progress_, cache_.get(), clock_,
                                    metrics_},
        readmodel::projector_settings{.name = "test"});
    const auto projecting = engine_.run(projector_->start());
    require(projecting.has_value(), "projector");
    accounts_ = std::make_unique<accounts::service>(
        accounts::parts{executor, *database_, database_settings(scratch_), redis_.get(),
                        store_.get(), clock_, random_, metrics_},
        cheap_accounts());
    accounts_->start();
    api_ = std::make_unique<application>(executor, generous(),
                                         services{*accounts_, *commands_, *views_, *queries_,
                                                  progress_, *store_, *database_, redis_.get(),
                                                  cache_->online(), catalog, metrics_, "test"},
                                         clock_, random_);
    const auto serving = api_->start();
    require(serving.has_value(), "HTTP");
    find_technique();
}

full_stack::~full_stack() {
    engine_.run(api_->stop(10s));
    engine_.run(accounts_->stop());
    engine_.run(projector_->stop());
    progress_.stop();
    engine_.run(commands_->stop());
    engine_.run(cache_->stop());
    engine_.run(redis_->stop());
    engine_.run(database_->stop());
}

std::string full_stack::text_of(const http_call& call) {
    std::string headers = call.headers;
    if (!call.token.empty()) {
        headers += "Authorization: Bearer " + call.token + "\r\n";
    }
    if (!call.key.empty()) {
        headers += "Idempotency-Key: " + call.key + "\r\n";
    }
    return request_text(call.verb == method::other ? "BREW" : name_of(call.verb), call.target,
                        call.body, headers);
}

raw_answer full_stack::ask(const http_call& call) {
    raw_client client(api_->port());
    client.deadline = 60s;
    return client.ask(text_of(call), call.verb == method::head);
}

account full_stack::new_account() {
    account out;
    out.username = unique("user");
    out.password = "a passphrase of " + out.username;
    const std::string credentials =
        R"({"username":")" + out.username + R"(","password":")" + out.password + '"';
    const raw_answer made = ask(
        {method::post, "/v1/users", credentials + R"(,"email":")" + out.username + "@x.org\"}"});
    require(made.status == 201, "register: " + made.body);
    const raw_answer opened = ask({method::post, "/v1/sessions", credentials + "}"});
    require(opened.status == 201, "log in: " + opened.body);
    out.user_id = member(opened, "userId");
    out.token = member(opened, "token");
    return out;
}

std::string full_stack::new_player(const account& of) {
    const raw_answer made = post("/v1/players", R"({"name":")" + unique("P") + "\"}", of);
    require(made.status == 201, "create player: " + made.body);
    return member(made, "playerId");
}

std::string full_stack::new_cultivator(const account& of) {
    const std::string player = new_player(of);
    const raw_answer learned = post("/v1/players/" + player + "/techniques",
                                    R"({"techniqueId":")" + technique_ + "\"}", of);
    require(learned.status == 201, "learn: " + learned.body);
    return player;
}

std::string full_stack::new_session(const account& of) {
    const raw_answer begun = post(
        "/v1/cultivations",
        R"({"playerId":")" + new_cultivator(of) + R"(","techniqueId":")" + technique_ + "\"}", of);
    require(begun.status == 201, "cultivate: " + begun.body);
    return member(begun, "sessionId");
}

// The first technique of the catalogue that a beginner can learn and cultivate.
void full_stack::find_technique() {
    const account by = new_account();
    for (const game::technique& one : game::catalog::builtin().techniques()) {
        if (one.technique_type != game::technique_type::cultivation || one.level_requirement > 1) {
            continue;
        }
        technique_ = one.technique_id;
        const std::string player = new_player(by);
        if (post("/v1/players/" + player + "/techniques",
                 R"({"techniqueId":")" + technique_ + "\"}", by)
                .status == 201) {
            return;
        }
    }
    require(false, "no technique for beginners");
}

std::string full_stack::location() const {
    for (const game::location& one : game::catalog::builtin().locations()) {
        if (one.level_requirement <= 1 && one.location_id != game::rules().initial_location) {
            return one.location_id;
        }
    }
    throw std::runtime_error("test set-up: no second location for beginners");
}

std::string full_stack::unique(std::string_view stem) {
    return std::string(stem) + std::to_string(++made_);
}

std::uint64_t full_stack::head() const {
    const auto at = store_->head();
    return at ? at->value : 0;
}

std::string member(const raw_answer& of, std::string_view name) {
    const auto parsed = base::parse_json(of.body);
    const base::json::object* object = parsed ? parsed->if_object() : nullptr;
    const base::json::value* value = object != nullptr ? object->if_contains(name) : nullptr;
    if (value == nullptr) {
        return {};
    }
    return value->is_string() ? std::string(value->get_string()) : base::json::serialize(*value);
}

} // namespace immortal::api::testing
