// For tests and benchmarks: players who live random lives by the rules of the game.
#pragma once

#include "base/random.hpp"
#include "eventstore/event_store.hpp"
#include "game/catalog.hpp"
#include "game/cultivation.hpp"
#include "game/player.hpp"
#include "runtime/engine.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace immortal::readmodel::testing {

enum class new_players : std::uint8_t { no, now_and_then };

// Decides and appends as the command service does: session first, player (the home stream) last.
class story {
public:
    story(runtime::engine& engine, eventstore::event_store& store, base::manual_clock& clock,
          std::uint64_t seed)
        : engine_(engine), store_(store), clock_(clock), random_(seed), dice_(seed) {
        rules_.time_scale = 3600;
    }

    base::uuid create_player(std::string name) {
        const auto id = base::uuid::make_random(random_);
        actor& one = players_[id];
        auto made = game::player::create(
            one.state, {id, base::uuid::make_random(random_), std::move(name)}, context());
        commit(one, id, std::move(made.value()));
        ids_.push_back(id);
        return id;
    }

    // One random command; refused ones change nothing.
    void act(new_players joins = new_players::now_and_then) {
        clock_.advance(std::chrono::milliseconds(1 + roll(pace_ms_max_)));
        if (ids_.empty() || (joins == new_players::now_and_then && roll(12) == 0)) {
            create_player("player" + std::to_string(ids_.size()));
            return;
        }
        const base::uuid id = ids_[roll(ids_.size())];
        actor& one = players_[id];
        if (one.session) {
            cultivate_on(one, id);
        } else if (roll(3) == 0) {
            learn(one, id);
        } else if (roll(6) == 0) {
            if (auto rested = game::player::rest(one.state, context())) {
                commit(one, id, std::move(*rested));
            }
        } else {
            start(one, id);
        }
    }
    void act(int times, new_players joins = new_players::now_and_then) {
        for (int i = 0; i < times; ++i) {
            act(joins);
        }
    }

    void append(std::vector<eventlog::stream_write> writes) {
        auto done = engine_.run(store_.append(std::move(writes)));
        if (!done) {
            throw std::runtime_error(done.error().message);
        }
    }
    // An event as it is, for what the rules would never write. The story's own state stays behind.
    void append_raw(std::string stream, std::string type, std::string data) {
        eventlog::new_event e{base::uuid::make_random(random_), std::move(type), std::move(data),
                              "{}", eventlog::content::json};
        append({{std::move(stream), eventlog::expected_revision::any(), {std::move(e)}}});
    }

    // Between two commands, of all players together.
    void set_pace(std::size_t ms_max) { pace_ms_max_ = ms_max; }

    [[nodiscard]] const std::vector<base::uuid>& ids() const { return ids_; }
    [[nodiscard]] const game::player::state& state_of(base::uuid id) { return players_[id].state; }
    void forget(base::uuid id) { std::erase(ids_, id); } // acts no more

private:
    struct actor {
        game::player::state state;
        std::optional<base::uuid> session;
        game::cultivation::state session_state;
    };

    game::context context() {
        return {clock_.now(), random_.next(), game::catalog::builtin(), rules_};
    }
    std::size_t roll(std::size_t sides) { return dice_() % sides; }

    template <typename Event>
    eventlog::stream_write write_of(std::string stream, const std::vector<Event>& events) {
        eventlog::stream_write out{std::move(stream), eventlog::expected_revision::any(), {}};
        for (const Event& one : events) {
            auto encoded = game::encode_event(one);
            out.events.push_back({base::uuid::make_random(random_), encoded.type, encoded.data,
                                  "{}", eventlog::content::json});
        }
        return out;
    }

    void commit(actor& one, base::uuid id, game::player::events events) {
        for (const auto& e : events) {
            game::player::evolve(one.state, e);
        }
        append({write_of(game::player::stream_of(id), events)});
    }
    void commit(actor& one, base::uuid id, base::uuid session, game::cultivation::events events) {
        for (const auto& e : events.session) {
            game::cultivation::evolve(one.session_state, e);
        }
        for (const auto& e : events.player) {
            game::player::evolve(one.state, e);
        }
        append({write_of(game::cultivation::stream_of(session), events.session),
                write_of(game::player::stream_of(id), events.player)});
        if (one.session_state.status != game::session_status::active) {
            one.session.reset();
        }
    }

    void learn(actor& one, base::uuid id) {
        const auto all = game::catalog::builtin().techniques();
        const auto& wanted = all[roll(all.size())];
        if (auto done = game::player::learn_technique(one.state, wanted.technique_id, context())) {
            commit(one, id, std::move(*done));
        }
    }
    void start(actor& one, base::uuid id) {
        if (one.state.techniques.empty()) {
            learn(one, id);
            return;
        }
        const auto session = base::uuid::make_random(random_);
        const auto& known = one.state.techniques[roll(one.state.techniques.size())];
        game::cultivation::state fresh;
        auto done = game::cultivation::start(
            fresh, one.state, {session, known.technique_id, std::nullopt}, context());
        if (done) {
            one.session = session;
            one.session_state = {};
            commit(one, id, session, std::move(*done));
        }
    }
    void cultivate_on(actor& one, base::uuid id) {
        const base::uuid session = *one.session;
        const auto with = context();
        auto done = roll(4) == 0 ? game::cultivation::progress(one.session_state, one.state, with)
                    : roll(8) == 0
                        ? game::cultivation::interrupt(one.session_state, one.state, with)
                        : game::cultivation::complete(one.session_state, one.state, with);
        if (done) {
            commit(one, id, session, std::move(*done));
        }
    }

    runtime::engine& engine_;
    eventstore::event_store& store_;
    base::manual_clock& clock_;
    base::seeded_random random_;
    std::mt19937_64 dice_;
    game::rules rules_;
    std::size_t pace_ms_max_ = 20'000'000;
    std::map<base::uuid, actor> players_;
    std::vector<base::uuid> ids_;
};

} // namespace immortal::readmodel::testing
