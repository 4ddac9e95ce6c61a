// What one connection does during the measured time.
#include "app/simulate_world.hpp"
#include "base/clock.hpp"
#include "base/json.hpp"
#include "runtime/deadline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace immortal::app {
namespace {

namespace json = boost::json;

constexpr int delay_sample_every = 50; // commands
constexpr int move_percent = 10;       // of the commands of a character that is not cultivating
constexpr auto delay_limit = std::chrono::seconds(10);
constexpr auto session_wait_max = std::chrono::seconds(60); // a longer one is interrupted
constexpr auto progress_pause = std::chrono::milliseconds(75);
constexpr auto command_pause = std::chrono::milliseconds(55); // of one character
constexpr auto tired_pause = std::chrono::seconds(1);
constexpr auto rest_pause = std::chrono::seconds(10); // after a rest that came too soon

enum class action : std::uint8_t { start, progress, complete, interrupt, rest, move, nothing };

action choose(const character& who, std::mt19937_64& dice) {
    const auto now = steady_clock::now();
    if (!who.session_id.empty()) {
        const base::utc_time clock = base::system_clock{}.now();
        if (clock >= who.ready_at)
            return action::complete;
        if (who.ready_at - clock > session_wait_max)
            return action::interrupt;
        return now < who.no_progress_before ? action::nothing : action::progress;
    }
    const auto roll = dice() % 100;
    if (now < who.tired_until)
        return action::move;
    if (who.tired_until != steady_clock::time_point{})
        return action::rest;
    return roll < move_percent ? action::move : action::start;
}

http_call call_of(action what, const character& who, const std::vector<std::string>& locations,
                  std::mt19937_64& dice) {
    http_call call{.verb = "POST", .target = "", .token = who.token};
    call.idempotency_key = fmt::format("{:016x}{:016x}", dice(), dice());
    const std::string session = "/v1/cultivations/" + who.session_id;
    switch (what) {
    case action::start:
        call.target = "/v1/cultivations";
        call.body = json::serialize(
            json::object{{"playerId", who.player_id}, {"techniqueId", who.technique_id}});
        break;
    case action::progress:
        call.target = session + "/progress";
        break;
    case action::complete:
        call.target = session + "/complete";
        break;
    case action::interrupt:
        call.target = session + "/interrupt";
        break;
    case action::rest:
        call.target = fmt::format("/v1/players/{}/rest", who.player_id);
        break;
    case action::move:
        call.target = fmt::format("/v1/players/{}/move", who.player_id);
        call.body = json::serialize(
            json::object{{"location", locations[(who.location + 1) % locations.size()]}});
        break;
    case action::nothing:
        break;
    }
    return call;
}

// What the character knows after a command was carried out.
void learn_success(action what, character& who, const std::string& body) {
    switch (what) {
    case action::start:
        who.session_id = text_member(body, "sessionId");
        who.ready_at =
            base::parse_iso(text_member(body, "readyAt")).value_or(base::utc_time::max());
        who.no_progress_before = steady_clock::now() + progress_pause;
        break;
    case action::progress:
        who.no_progress_before = steady_clock::now() + progress_pause;
        break;
    case action::complete:
    case action::interrupt:
        who.session_id.clear();
        break;
    case action::rest:
        who.tired_until = {};
        break;
    case action::move:
        ++who.location;
        break;
    case action::nothing:
        break;
    }
}

// A rule said no: do something else next time.
void learn_refusal(action what, character& who, const std::string& code) {
    const auto now = steady_clock::now();
    switch (what) {
    case action::start:
    case action::rest:
        who.tired_until = code == "energy_full"     ? steady_clock::time_point{}
                          : code == "rest_too_soon" ? now + rest_pause
                                                    : now + tired_pause;
        break;
    case action::progress:
    case action::complete:
    case action::interrupt:
        who.no_progress_before = now + progress_pause;
        if (code == "session_ended")
            who.session_id.clear();
        break;
    case action::move:
        ++who.location;
        break;
    case action::nothing:
        break;
    }
}

void note(worker& self, const http_call& call, const http_answer& answer) {
    std::string target = call.target.substr(0, call.target.find('?'));
    if (const std::size_t id = target.find("s/", 4); id != std::string::npos)
        target =
            target.substr(0, id + 2) + "{id}" + target.substr(std::min(target.size(), id + 38));
    const std::string code = text_member(answer.body, "code");
    ++self.problems[fmt::format("{} {} {} {}", call.verb, target, answer.status, code)];
}

// Sends and times one call; an answer 429 or a failure is counted here. Empty: nothing to go on
// with.
awaitable<std::optional<http_answer>> timed(worker& self, counters& shared, character& who,
                                            http_call call, latency_histogram& into) {
    const auto began = steady_clock::now();
    auto answer = co_await self.client.send(call);
    if (!answer) {
        ++shared.failed;
        ++self.problems[answer.error().message];
        co_await runtime::wait_for(std::chrono::milliseconds(100));
        co_return std::nullopt;
    }
    into.record(steady_clock::now() - began);
    if (answer->status < 300 || answer->status == 409)
        co_return std::move(*answer);
    note(self, call, *answer);
    if (answer->status == 429) {
        ++shared.limited;
        who.not_before =
            steady_clock::now() + std::chrono::seconds(std::max(1U, answer->retry_after_s));
    } else {
        ++shared.failed;
    }
    co_return std::nullopt;
}

// From now until a query is answered that reflects `position`.
awaitable<void> measure_delay(worker& self, counters& shared, const character& who,
                              std::uint64_t position) {
    const auto began = steady_clock::now();
    const http_call call{.verb = "GET",
                         .target = fmt::format("/v1/players/{}?after={}", who.player_id, position),
                         .token = who.token};
    while (steady_clock::now() - began < delay_limit) {
        const auto answer = co_await self.client.send(call);
        if (answer && answer->status == 200)
            break;
        if (answer && answer->status == 503)
            ++shared.behind;
        else
            ++shared.failed;
        co_await runtime::wait_for(std::chrono::milliseconds(5));
    }
    self.delays.record(steady_clock::now() - began);
}

// false: there is nothing to do for the character just now.
awaitable<bool> command(worker& self, counters& shared, character& who) {
    const action what = choose(who, self.dice);
    if (what == action::nothing)
        co_return false;
    const http_call call = call_of(what, who, self.locations, self.dice);
    who.not_before = steady_clock::now() + command_pause;
    const auto answer = co_await timed(self, shared, who, call, self.commands);
    if (!answer)
        co_return true;
    if (answer->status == 409) {
        ++shared.refused;
        note(self, call, *answer);
        learn_refusal(what, who, text_member(answer->body, "code"));
        co_return true;
    }
    const std::uint64_t number = ++shared.accepted;
    learn_success(what, who, answer->body);
    if (number % delay_sample_every == 0)
        co_await measure_delay(self, shared, who, position_member(answer->body));
    co_return true;
}

std::string query_target(const character& who, std::mt19937_64& dice) {
    const auto roll = dice() % 100;
    if (roll < 60)
        return "/v1/players/" + who.player_id;
    if (roll < 75)
        return fmt::format("/v1/players/{}/statistics", who.player_id);
    if (roll < 85)
        return fmt::format("/v1/players/{}/techniques", who.player_id);
    if (roll < 95)
        return "/v1/leaderboards/cultivation?limit=20";
    return "/v1/leaderboards/cultivation/players/" + who.player_id;
}

} // namespace

awaitable<void> play(worker& self, counters& shared, std::uint32_t queries_per_command) {
    while (!shared.stop) {
        bool idle = true;
        for (character& who : self.characters) {
            if (shared.stop)
                break;
            if (steady_clock::now() < who.not_before || !co_await command(self, shared, who))
                continue;
            idle = false;
            for (std::uint32_t i = 0; i < queries_per_command && !shared.stop; ++i) {
                http_call call{
                    .verb = "GET", .target = query_target(who, self.dice), .token = who.token};
                if (co_await timed(self, shared, who, std::move(call), self.queries))
                    ++shared.queries;
            }
        }
        if (idle)
            co_await runtime::wait_for(std::chrono::milliseconds(2));
    }
}

std::string text_member(const std::string& body, std::string_view name) {
    const auto parsed = base::parse_json(body);
    const json::object* object = parsed ? parsed->if_object() : nullptr;
    const json::value* value = object != nullptr ? object->if_contains(name) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

std::uint64_t position_member(const std::string& body) {
    const auto parsed = base::parse_json(body);
    const json::object* object = parsed ? parsed->if_object() : nullptr;
    const json::value* value = object != nullptr ? object->if_contains("position") : nullptr;
    return value != nullptr && value->is_number() ? value->to_number<std::uint64_t>() : 0;
}

} // namespace immortal::app
