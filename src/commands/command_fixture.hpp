// The language of the command tests: one store, services on it that come and go, players.
#pragma once

#include "commands/fault_store.hpp"
#include "commands/service.hpp"
#include "eventstore/memory_store.hpp"
#include "game/cultivation.hpp"
#include "game/home.hpp"
#include "game/player.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace immortal::commands {

class world : public testing::Test {
protected:
    static constexpr std::uint64_t seed = 7;

    world() { engine_.start(); }
    ~world() override {
        for (auto& s : services_) {
            engine_.run(s->stop());
        }
        services_.clear();
        engine_.stop();
    }

    // The first service is made with the first use.
    service& server(std::size_t number = 0) {
        while (services_.size() <= number) {
            services_.push_back(std::make_unique<service>(
                engine_.executor(),
                service::parts{store_, game::catalog::builtin(), clock_, random_, metrics_},
                settings_));
        }
        return *services_[number];
    }
    // Everything in memory is forgotten.
    void restart() {
        for (auto& s : services_) {
            engine_.run(s->stop());
        }
        services_.clear();
    }
    base::result<outcome> execute(std::string key, game_command command, std::size_t number = 0) {
        return engine_.run(server(number).execute(who_, std::move(key), std::move(command)));
    }
    // Fails the test if the command is not accepted.
    outcome done(std::string key, game_command command, std::size_t number = 0) {
        auto out = execute(key, std::move(command), number);
        EXPECT_TRUE(out.has_value()) << key << ": " << (out ? "" : out.error().message);
        return out.value_or(outcome{});
    }
    base::error refused(std::string key, game_command command, std::size_t number = 0) {
        auto out = execute(key, std::move(command), number);
        EXPECT_FALSE(out.has_value()) << key << " was accepted";
        return out ? base::error{} : out.error();
    }
    base::uuid create(std::string key = "create", std::string name = "韩立") {
        return id(done(std::move(key), create_player{std::move(name)}), "playerId");
    }
    base::uuid ready_player() {
        const base::uuid player = create();
        (void)done("learn", learn_technique{player, "basic_qi_gathering"});
        return player;
    }
    static base::uuid id(const outcome& of, const char* key) {
        const auto* text = of.body.if_contains(key);
        return text == nullptr ? base::uuid{} : *base::uuid::parse(text->get_string());
    }
    static std::string text(const outcome& of) { return json::serialize(of.body); }
    std::vector<eventstore::recorded_event> events(const std::string& stream) {
        auto page = engine_.run(
            memory_->read_stream(stream, {0}, eventstore::direction::forwards, 100'000));
        EXPECT_TRUE(page.has_value());
        return page ? std::move(page->events) : std::vector<eventstore::recorded_event>{};
    }
    template <typename State>
    game::home<State> fold(const std::string& stream) {
        game::home<State> out;
        for (const auto& e : events(stream)) {
            EXPECT_TRUE(game::fold(out, e).has_value());
        }
        return out;
    }
    game::home<game::player::state> player(const base::uuid& who) {
        return fold<game::player::state>(game::player::stream_of(who));
    }

    runtime::engine engine_{{.threads = 2}};
    base::manual_clock clock_{*base::parse_iso("2026-01-01T12:00:00.000Z")};
    base::seeded_random random_{seed};
    base::metrics metrics_;
    std::unique_ptr<eventstore::event_store> memory_ = eventstore::make_memory_store(clock_);
    fault_store store_{*memory_};
    service_settings settings_ = [] {
        service_settings s;
        s.name_key = "0123456789abcdef";
        s.retry_max = milliseconds(10);
        return s;
    }();
    actor who_{base::uuid::make_derived("test", "account")};

private:
    std::vector<std::unique_ptr<service>> services_;
};

} // namespace immortal::commands
