#include "bench/http_game.hpp"

#include "base/json.hpp"
#include "base/random.hpp"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

namespace immortal::bench {

namespace {

boost::asio::awaitable<std::string> demand(wire* on, std::string request) {
    const wire_answer answer = co_await on->exchange(request);
    if (answer.status >= 300) {
        throw std::runtime_error(fmt::format("{} was answered {}: {}",
                                             request.substr(0, request.find("\r\n")), answer.status,
                                             answer.body.substr(0, 300)));
    }
    co_return std::string(answer.body);
}

void note_position(character& who, std::string_view body) {
    const std::string position = member_text(body, "position");
    std::from_chars(position.data(), position.data() + position.size(), who.last_position);
}

// Ids of the catalogue's entries for level 1 whose `kind_key`, if given, is `kind`.
std::vector<std::string> beginners(const std::string& body, const char* id_key,
                                   const char* kind_key, std::string_view kind) {
    std::vector<std::string> out;
    const auto parsed = base::parse_json(body).value();
    for (const auto& item : parsed.at("items").as_array()) {
        const auto& entry = item.as_object();
        const auto* level = entry.if_contains("levelRequirement");
        if (level != nullptr && level->is_int64() && level->as_int64() > 1) {
            continue;
        }
        if (kind_key == nullptr || entry.at(kind_key).as_string() == kind) {
            out.emplace_back(entry.at(id_key).as_string());
        }
    }
    return out;
}

} // namespace

boost::asio::awaitable<game> game::set_up(std::uint16_t port, std::size_t accounts,
                                          std::size_t characters_each) {
    game out;
    base::system_random random;
    out.run_ = base::random_hex(random, 4);
    wire on = co_await wire::connect(port);
    out.locations_ = beginners(co_await demand(&on, request_text("GET", "/v1/catalog/locations")),
                               "locationId", nullptr, {});
    const auto techniques =
        beginners(co_await demand(&on, request_text("GET", "/v1/catalog/techniques")),
                  "techniqueId", "techniqueType", "cultivation");
    for (std::size_t a = 0; a < accounts; ++a) {
        const std::string name = fmt::format("bench{}a{}", out.run_, a);
        const std::string password = name + "-password-for-measuring";
        co_await demand(
            &on,
            request_text(
                "POST", "/v1/users", {},
                fmt::format(R"({{"username":"{0}","email":"{0}@bench.example","password":"{1}"}})",
                            name, password),
                "register-" + name));
        const std::string token = member_text(
            co_await demand(&on, request_text("POST", "/v1/sessions", {},
                                              fmt::format(R"({{"username":"{}","password":"{}"}})",
                                                          name, password))),
            "token");
        for (std::size_t c = 0; c < characters_each; ++c) {
            character who;
            who.token = token;
            const std::string called = fmt::format("B{}-{}-{}", out.run_, a, c);
            who.player_id = member_text(
                co_await demand(&on, request_text("POST", "/v1/players", token,
                                                  fmt::format(R"({{"name":"{}"}})", called),
                                                  "create-" + called)),
                "playerId");
            for (const std::string& technique : techniques) {
                const wire_answer learned = co_await on.exchange(
                    request_text("POST", fmt::format("/v1/players/{}/techniques", who.player_id),
                                 token, fmt::format(R"({{"techniqueId":"{}"}})", technique),
                                 fmt::format("learn-{}-{}", called, technique)));
                if (learned.status < 300) {
                    who.technique_id = technique;
                    note_position(who, learned.body);
                    break;
                }
            }
            if (who.technique_id.empty()) {
                throw std::runtime_error("no technique can be learned by a new character");
            }
            who.step = c % cycle_steps; // not all at the same place of the cycle
            out.characters_.push_back(std::move(who));
        }
    }
    co_return out;
}

std::string game::next_command(character& who, std::uint64_t number) const {
    const std::string key = fmt::format("{}-{}", run_, number);
    const std::size_t step = who.step % cycle_steps;
    if (who.session_id.empty() && step >= 1 && step <= 2) {
        who.step = 0;
    }
    const std::string session = "/v1/cultivations/" + who.session_id;
    switch (who.step % cycle_steps) {
    case 0:
        return request_text("POST", "/v1/cultivations", who.token,
                            fmt::format(R"({{"playerId":"{}","techniqueId":"{}"}})", who.player_id,
                                        who.technique_id),
                            key);
    case 1:
        return request_text("POST", session + "/progress", who.token, {}, key);
    case 2:
        return request_text("POST", session + "/complete", who.token, {}, key);
    default:
        return request_text(
            "POST", fmt::format("/v1/players/{}/move", who.player_id), who.token,
            fmt::format(R"({{"location":"{}"}})",
                        locations_[(who.step / cycle_steps * 3 + who.step) % locations_.size()]),
            key);
    }
}

bool game::learn(character& who, const wire_answer& answer) const {
    const bool accepted = answer.status < 300;
    const std::size_t step = who.step % cycle_steps;
    if (step == 0 && accepted) {
        who.session_id = member_text(answer.body, "sessionId");
    }
    if (step == 2 && (accepted || answer.status != 409)) {
        who.session_id.clear();
    }
    // A refusal (not over yet, no energy, already there) goes on with the cycle, except that a
    // session has to end first.
    if (accepted || step != 2) {
        ++who.step;
    }
    if (accepted) {
        note_position(who, answer.body);
    }
    return accepted;
}

} // namespace immortal::bench
