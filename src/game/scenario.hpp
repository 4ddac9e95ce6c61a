// The language of the game's tests: given what happened, when a command comes, then these events
// or this refusal.
#pragma once

#include "game/cultivation.hpp"
#include "game/home.hpp"
#include "game/player.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace immortal::game {

inline const base::utc_time noon = *base::parse_iso("2026-01-01T12:00:00.000Z");

// One player and at most one session at a time, played in memory.
class scenario {
public:
    explicit scenario(std::uint64_t seed = 1) : seed_(seed) {}

    player::state who;
    cultivation::state session;
    game::rules numbers = {};
    std::string code;               // of the last refusal; empty if the last command was accepted
    std::vector<std::string> types; // of the last command's events, the player's first
    std::vector<std::pair<std::string, std::string>> player_log; // type, data
    std::vector<std::pair<std::string, std::string>> session_log;
    std::int64_t granted = 0; // experience, over all events

    scenario& create() {
        player::new_player as{base::uuid::make_derived("test", "player"),
                              base::uuid::make_derived("test", "user"), "韩立"};
        return take(player::create(who, as, with()));
    }
    scenario& learn(std::string_view id) { return take(player::learn_technique(who, id, with())); }
    scenario& rest() { return take(player::rest(who, with())); }
    scenario& move(std::string_view to) { return take(player::move(who, to, with())); }
    scenario& start(std::string technique = "basic_qi_gathering",
                    std::optional<std::string> location = std::nullopt) {
        const cultivation::new_session as{
            base::uuid::make_derived("session", std::to_string(++sessions_)), std::move(technique),
            std::move(location)};
        const cultivation::state fresh;
        auto events = cultivation::start(fresh, who, as, with());
        if (events) {
            session = fresh;
            session_log.clear();
        }
        return take(std::move(events));
    }
    scenario& progress() { return take(cultivation::progress(session, who, with())); }
    scenario& complete() { return take(cultivation::complete(session, who, with())); }
    scenario& interrupt() { return take(cultivation::interrupt(session, who, with())); }
    scenario& complete_unattended() {
        return take(cultivation::complete_unattended(session, who, with()));
    }
    scenario& erase() {
        return who.cultivation_session ? take(cultivation::erase_player(session, who, with()))
                                       : take(player::erase(who, with()));
    }
    scenario& given(player::event e) {
        add(e);
        return *this;
    }
    scenario& given(cultivation::event e) {
        add(e);
        return *this;
    }
    scenario& pass(std::chrono::microseconds by) {
        now_ += by;
        return *this;
    }
    scenario& hours(int n) { return pass(std::chrono::hours(n)); }
    // The dice of the next commands.
    scenario& seed(std::uint64_t to) {
        seed_ = to;
        fixed_seed_ = true;
        return *this;
    }
    [[nodiscard]] context with() {
        if (!fixed_seed_) {
            ++seed_;
        }
        return {now_, seed_, catalog::builtin(), numbers};
    }
    [[nodiscard]] base::utc_time now() const { return now_; }
    [[nodiscard]] bool emitted(std::string_view type) const {
        return std::find(types.begin(), types.end(), type) != types.end();
    }

private:
    void add(const player::event& e) {
        player::evolve(who, e);
        auto text = encode_event(e);
        if (const auto* gain = std::get_if<player::experience_gained>(&e)) {
            granted += gain->amount;
        }
        types.push_back(text.type);
        player_log.emplace_back(std::move(text.type), std::move(text.data));
    }
    void add(const cultivation::event& e) {
        cultivation::evolve(session, e);
        auto text = encode_event(e);
        types.push_back(text.type);
        session_log.emplace_back(std::move(text.type), std::move(text.data));
    }
    template <typename T>
    bool refused(const decided<T>& events) {
        types.clear();
        code = events ? std::string() : events.error().code;
        return !events;
    }
    scenario& take(decided<player::events> events) {
        if (!refused(events)) {
            EXPECT_FALSE(events->empty());
            for (const auto& e : *events) {
                add(e);
            }
        }
        return *this;
    }
    scenario& take(decided<cultivation::events> events) {
        if (!refused(events)) {
            EXPECT_FALSE(events->player.empty());
            EXPECT_FALSE(events->session.empty());
            for (const auto& e : events->player) {
                add(e);
            }
            for (const auto& e : events->session) {
                add(e);
            }
        }
        return *this;
    }

    base::utc_time now_ = noon;
    std::uint64_t seed_;
    bool fixed_seed_ = false;
    int sessions_ = 0;
};

} // namespace immortal::game
