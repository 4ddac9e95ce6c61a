#include "commands/decision.hpp"

#include <algorithm>

namespace immortal::commands {

namespace {

namespace player = game::player;
namespace cultivation = game::cultivation;

struct decider {
    const request& of;
    const base::uuid& created;
    const std::string& name;
    const player::state& who;
    const cultivation::state& session;
    const game::context& with;

    using made = game::decided<decision>;

    [[nodiscard]] made of_player(game::decided<player::events> events) const {
        if (!events) {
            return std::unexpected(std::move(events.error()));
        }
        decision out;
        out.player = std::move(*events);
        advance(out);
        return out;
    }

    [[nodiscard]] made of_both(game::decided<cultivation::events> events) const {
        if (!events) {
            return std::unexpected(std::move(events.error()));
        }
        decision out;
        out.player = std::move(events->player);
        out.session = std::move(events->session);
        advance(out);
        out.next_session = session;
        for (const auto& e : out.session) {
            cultivation::evolve(out.next_session, e);
        }
        return out;
    }

    void advance(decision& out) const {
        out.next_player = who;
        for (const auto& e : out.player) {
            player::evolve(out.next_player, e);
        }
    }

    static made answer(made in, json::object (*body)(const decision&)) {
        if (in) {
            in->body = json::serialize(body(*in));
        }
        return in;
    }

    [[nodiscard]] made operator()(const create_player& /*c*/) const {
        return answer(of_player(player::create(who, {created, of.who.account, name}, with)),
                      [](const decision& d) {
                          return json::object{{"playerId", d.next_player.id.text()},
                                              {"name", d.next_player.name}};
                      });
    }
    [[nodiscard]] made operator()(const learn_technique& c) const {
        return answer(of_player(player::learn_technique(who, c.technique_id, with)),
                      [](const decision& d) {
                          const auto& known = d.next_player.techniques.back();
                          return json::object{{"playerId", d.next_player.id.text()},
                                              {"techniqueId", known.technique_id},
                                              {"learnedFrom", known.learned_from}};
                      });
    }
    [[nodiscard]] made operator()(const rest& /*c*/) const {
        return answer(of_player(player::rest(who, with)), [](const decision& d) {
            return json::object{{"playerId", d.next_player.id.text()},
                                {"energy", d.next_player.energy}};
        });
    }
    [[nodiscard]] made operator()(const start_cultivation& c) const {
        return answer(
            of_both(cultivation::start(session, who, {created, c.technique_id, c.location}, with)),
            [](const decision& d) {
                const auto& s = d.next_session;
                return json::object{{"sessionId", s.session_id.text()},
                                    {"playerId", s.player_id.text()},
                                    {"startTime", base::iso_text(s.start_time)},
                                    {"readyAt", base::iso_text(s.ready_at)},
                                    {"expectedDuration", s.expected_duration},
                                    {"expectedExperience", s.expected_experience},
                                    {"energyCost", s.energy_consumed},
                                    {"energy", d.next_player.energy}};
            });
    }
    [[nodiscard]] made operator()(const progress_cultivation& /*c*/) const {
        return answer(of_both(cultivation::progress(session, who, with)), [](const decision& d) {
            const auto& e = std::get<cultivation::cultivation_progress>(d.session.back());
            json::object out = ids(d);
            out.emplace("experienceGained", e.experience_gained);
            out.emplace("totalExperienceGained", e.total_experience_gained);
            out.emplace("currentStage", e.current_stage);
            standing(out, d);
            return out;
        });
    }
    [[nodiscard]] made operator()(const complete_cultivation& /*c*/) const {
        return answer(of_both(cultivation::complete(session, who, with)), completed);
    }
    [[nodiscard]] made operator()(const interrupt_cultivation& /*c*/) const {
        return answer(of_both(cultivation::interrupt(session, who, with)), [](const decision& d) {
            json::object out = ended(d);
            standing(out, d);
            return out;
        });
    }
    [[nodiscard]] made operator()(const move_player& c) const {
        return answer(of_player(player::move(who, c.location, with)), [](const decision& d) {
            return json::object{{"playerId", d.next_player.id.text()},
                                {"location", d.next_player.current_location},
                                {"energy", d.next_player.energy}};
        });
    }

    [[nodiscard]] made operator()(const complete_unattended& /*c*/) const {
        return answer(of_both(cultivation::complete_unattended(session, who, with)), completed);
    }
    [[nodiscard]] made operator()(const erase_player& /*c*/) const {
        return answer(
            who.cultivation_session ? of_both(cultivation::erase_player(session, who, with))
                                    : of_player(player::erase(who, with)),
            [](const decision& d) { return json::object{{"playerId", d.next_player.id.text()}}; });
    }

    static json::object ids(const decision& d) {
        return {{"sessionId", d.next_session.session_id.text()},
                {"playerId", d.next_session.player_id.text()}};
    }
    static json::object ended(const decision& d) {
        json::object out = ids(d);
        out.emplace("status", boost::describe::enum_to_string(d.next_session.status, "?"));
        out.emplace("totalExperienceGained", d.next_session.experience_gained);
        return out;
    }
    static json::object completed(const decision& d) {
        json::object out = ended(d);
        out.emplace("breakthroughAchieved", d.next_session.breakthrough_achieved);
        out.emplace("newInsights", base::encode(d.next_session.insights_gained));
        standing(out, d);
        return out;
    }
    static void standing(json::object& out, const decision& d) {
        out.emplace("level", d.next_player.level);
        out.emplace("realm", d.next_player.realm);
    }
};

} // namespace

game::decided<decision> decide(const request& of, const base::uuid& created,
                               const std::string& name, const player::state& player,
                               const cultivation::state& session, const game::context& with) {
    return std::visit(decider{of, created, name, player, session, with}, of.command);
}

} // namespace immortal::commands
