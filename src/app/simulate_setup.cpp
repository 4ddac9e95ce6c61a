// Accounts and characters, before the measured time.
#include "app/simulate_world.hpp"
#include "base/json.hpp"
#include "base/random.hpp"
#include "runtime/deadline.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace immortal::app {
namespace {

namespace json = boost::json;

constexpr std::uint32_t characters_of_account = 50;
constexpr int attempts_max = 20;         // of one set-up request that is answered 429 or 503
constexpr std::uint32_t patience_s = 30; // a longer Retry-After ends the set-up

base::error unexpected(const http_call& call, const http_answer& answer) {
    return {.code = base::errc::unavailable,
            .message = fmt::format("{} {} was answered {}: {}", call.verb, call.target,
                                   answer.status, answer.body.substr(0, 300))};
}

// Repeats what the server puts off; anything but `wanted` in the end is an error.
awaitable<base::result<http_answer>> insist(http_client& client, http_call call, unsigned wanted) {
    base::result<http_answer> answer = base::fail(base::errc::unavailable, "not tried");
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        answer = co_await client.send(call);
        if (!answer || answer->status == wanted)
            co_return answer;
        if ((answer->status != 429 && answer->status != 503) || answer->retry_after_s > patience_s)
            break;
        if (!co_await runtime::wait_for(std::chrono::seconds(std::max(answer->retry_after_s, 1U))))
            break;
    }
    co_return base::fail(unexpected(call, *answer));
}

// Ids of a catalogue's entries that a beginner may use, those for the lowest level first. With
// `kind`: only entries whose techniqueType it is.
awaitable<base::result<std::vector<std::string>>>
beginners_choice(http_client& client, std::string target, std::string id_key, std::string kind) {
    const auto answer = co_await insist(client, {.verb = "GET", .target = target}, 200);
    if (!answer)
        co_return base::fail(answer.error());
    std::vector<std::pair<std::int64_t, std::string>> found;
    const auto parsed = base::parse_json(answer->body);
    const json::object* root = parsed ? parsed->if_object() : nullptr;
    const json::value* items = root != nullptr ? root->if_contains("items") : nullptr;
    const json::array none;
    for (const json::value& item :
         items != nullptr && items->is_array() ? items->get_array() : none) {
        const json::object* entry = item.if_object();
        const json::value* id = entry != nullptr ? entry->if_contains(id_key) : nullptr;
        const json::value* type = entry != nullptr ? entry->if_contains("techniqueType") : nullptr;
        if (id == nullptr || !id->is_string() ||
            (!kind.empty() && (type == nullptr || *type != json::string(kind))))
            continue;
        const json::value* level = entry->if_contains("levelRequirement");
        const std::int64_t needed = level != nullptr && level->is_int64() ? level->get_int64() : 1;
        if (needed <= 1)
            found.emplace_back(needed, std::string(id->get_string()));
    }
    std::ranges::sort(found); // by level, then id
    std::vector<std::string> out;
    for (auto& [level, id] : found)
        out.push_back(std::move(id));
    if (out.empty())
        co_return base::fail(base::errc::not_found, target + " has nothing for a beginner");
    co_return out;
}

awaitable<base::result<std::string>> make_account(http_client& client, std::string name) {
    const std::string password = name + "-simulated-password";
    const auto registered = co_await insist(
        client,
        {.verb = "POST",
         .target = "/v1/users",
         .body = json::serialize(json::object{
             {"username", name}, {"email", name + "@simulation.example"}, {"password", password}}),
         .idempotency_key = "register-" + name},
        201);
    if (!registered)
        co_return base::fail(registered.error());
    const auto session = co_await insist(
        client,
        {.verb = "POST",
         .target = "/v1/sessions",
         .body = json::serialize(json::object{{"username", name}, {"password", password}}),
         .idempotency_key = "log-in-" + name},
        201);
    if (!session)
        co_return base::fail(session.error());
    co_return text_member(session->body, "token");
}

awaitable<base::status> make_character(worker& self, character& made, std::string name,
                                       const std::vector<std::string>& techniques) {
    const auto created = co_await insist(self.client,
                                         {.verb = "POST",
                                          .target = "/v1/players",
                                          .body = json::serialize(json::object{{"name", name}}),
                                          .token = made.token,
                                          .idempotency_key = "create-" + name},
                                         201);
    if (!created)
        co_return base::fail(created.error());
    made.player_id = text_member(created->body, "playerId");
    std::string last;
    for (const std::string& technique : techniques) {
        const http_call learn{.verb = "POST",
                              .target = fmt::format("/v1/players/{}/techniques", made.player_id),
                              .body = json::serialize(json::object{{"techniqueId", technique}}),
                              .token = made.token,
                              .idempotency_key = fmt::format("learn-{}-{}", name, technique)};
        const auto learned = co_await self.client.send(learn);
        if (!learned)
            co_return base::fail(learned.error());
        if (learned->status == 200 || learned->status == 201) {
            made.technique_id = technique;
            // Queries without ?after= come next; they should find the character.
            const auto seen =
                co_await insist(self.client,
                                {.verb = "GET",
                                 .target = fmt::format("/v1/players/{}?after={}", made.player_id,
                                                       position_member(learned->body)),
                                 .token = made.token},
                                200);
            co_return seen ? base::status{} : base::fail(seen.error());
        }
        last = unexpected(learn, *learned).message;
    }
    co_return base::fail(base::errc::rejected, "no technique can be learned: " + last);
}

} // namespace

awaitable<base::result<set_up_plan>> make_accounts(std::uint32_t players, http_client& client) {
    base::system_random random;
    set_up_plan plan;
    plan.run = base::random_hex(random, 4);
    auto techniques =
        co_await beginners_choice(client, "/v1/catalog/techniques", "techniqueId", "cultivation");
    if (!techniques)
        co_return base::fail(techniques.error());
    plan.techniques = std::move(*techniques);
    auto locations =
        co_await beginners_choice(client, "/v1/catalog/locations", "locationId", std::string());
    if (!locations)
        co_return base::fail(locations.error());
    plan.locations = std::move(*locations);
    const std::uint32_t accounts =
        std::max(2U, (players + characters_of_account - 1) / characters_of_account);
    for (std::uint32_t i = 0; i < accounts; ++i) {
        auto token = co_await make_account(client, fmt::format("sim{}a{}", plan.run, i));
        if (!token)
            co_return base::fail(token.error());
        plan.tokens.push_back(std::move(*token));
    }
    co_return plan;
}

awaitable<base::status> make_characters(worker& self, std::size_t number, const set_up_plan& plan) {
    self.locations = plan.locations;
    for (std::size_t i = 0; i < self.characters.size(); ++i) {
        auto made =
            co_await make_character(self, self.characters[i],
                                    fmt::format("S{}w{}x{}", plan.run, number, i), plan.techniques);
        if (!made)
            co_return made;
    }
    co_return base::status{};
}

} // namespace immortal::app
