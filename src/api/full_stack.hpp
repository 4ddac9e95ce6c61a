// For tests: the whole service in one process, on a PostgreSQL and a Redis of its own, with the
// event store in memory and the game's clock in the test's hand.
#pragma once

#include "accounts/service.hpp"
#include "api/application.hpp"
#include "api/raw_client.hpp"
#include "base/json.hpp"
#include "cache/service.hpp"
#include "commands/service.hpp"
#include "postgres/scratch_database.hpp"
#include "readmodel/projector.hpp"
#include "readmodel/queries.hpp"
#include "readmodel/views.hpp"
#include "redis/client.hpp"
#include "runtime/engine.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace immortal::api::testing {

struct account {
    std::string username;
    std::string password;
    std::string user_id;
    std::string token;
};

// One call over a real connection; `key` empty: without Idempotency-Key.
struct http_call {
    method verb = method::get;
    std::string target = {};
    std::string body = {};
    std::string token = {};
    std::string key = {};
    std::string headers = {}; // further lines
};

class full_stack {
public:
    full_stack();
    ~full_stack();
    full_stack(const full_stack&) = delete;
    full_stack& operator=(const full_stack&) = delete;

    raw_answer ask(const http_call& call);
    raw_answer get(std::string target, const account& by) {
        return ask({.target = std::move(target), .token = by.token});
    }
    raw_answer post(std::string target, std::string body, const account& by, std::string key = {}) {
        return ask({method::post, std::move(target), std::move(body), by.token, std::move(key)});
    }
    [[nodiscard]] static std::string text_of(const http_call& call);

    account new_account(); // registered and logged in
    // Created; with a technique that can be cultivated, too. Asserts success.
    std::string new_player(const account& of);
    std::string new_cultivator(const account& of);
    // A running session of a new cultivator.
    std::string new_session(const account& of);
    void pass_time(std::chrono::seconds by) { game_clock_.advance(by); }

    [[nodiscard]] std::string unique(std::string_view stem);
    [[nodiscard]] const std::string& technique() const { return technique_; }
    [[nodiscard]] std::string location() const; // another than where players begin
    [[nodiscard]] std::uint64_t head() const;   // of the log
    [[nodiscard]] application& api() { return *api_; }
    [[nodiscard]] base::metrics& metrics() { return metrics_; }
    [[nodiscard]] postgres::scratch_database& scratch() { return scratch_; }

private:
    void find_technique();

    runtime::engine engine_{{.threads = 2}};
    base::metrics metrics_;
    base::system_clock clock_;
    base::manual_clock game_clock_;
    base::system_random random_;
    postgres::scratch_database scratch_;
    std::unique_ptr<postgres::database> database_;
    std::unique_ptr<redis::client> redis_;
    std::unique_ptr<eventstore::event_store> store_;
    std::unique_ptr<cache::service> cache_;
    std::unique_ptr<commands::service> commands_;
    readmodel::progress progress_;
    std::unique_ptr<readmodel::queries> queries_;
    std::unique_ptr<readmodel::views> views_;
    std::unique_ptr<readmodel::projector> projector_;
    std::unique_ptr<accounts::service> accounts_;
    std::unique_ptr<application> api_;
    std::string technique_;
    int made_ = 0;
};

// A member of a JSON answer as text; numbers in decimal. Empty: absent.
[[nodiscard]] std::string member(const raw_answer& of, std::string_view name);

} // namespace immortal::api::testing
