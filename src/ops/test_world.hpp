// For tests: commands on a store in memory, its read model, and the jobs beside them.
#pragma once

#include "accounts/service.hpp"
#include "commands/fault_store.hpp"
#include "commands/service.hpp"
#include "game/catalog.hpp"
#include "ops/periodic_job.hpp"
#include "readmodel/queries.hpp"
#include "readmodel/test_world.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace immortal::ops::testing {

using namespace std::chrono_literals;
using readmodel::testing::eventually;

class world : public readmodel::testing::world {
protected:
    world() { restart_commands(); }
    ~world() override { engine_.run(commands_->stop()); }

    // What the command service remembered in memory is gone.
    void restart_commands() {
        if (commands_) {
            engine_.run(commands_->stop());
        }
        commands::service_settings s;
        s.name_key = "0123456789abcdef";
        commands_ = std::make_unique<commands::service>(
            engine_.executor(),
            commands::service::parts{faults_, game::catalog::builtin(), clock_, random_, metrics_},
            s);
    }
    static job_settings quick(std::string owner = "one") {
        job_settings s;
        s.owner = std::move(owner);
        s.interval = 5ms;
        s.first = readmodel::job_start::take_over;
        return s;
    }

    commands::outcome done(commands::actor who, std::string key, commands::game_command command) {
        auto out = engine_.run(commands_->execute(who, std::move(key), std::move(command)));
        EXPECT_TRUE(out.has_value()) << (out ? "" : out.error().message);
        return out.value_or(commands::outcome{});
    }
    base::uuid create(commands::actor who, std::string name) {
        return id(done(who, "create " + name, commands::create_player{name}), "playerId");
    }
    base::uuid start_session(commands::actor who, base::uuid player, std::string key) {
        (void)engine_.run(
            commands_->execute(who, "learn " + player.text(),
                               commands::learn_technique{player, "basic_qi_gathering"}));
        return id(done(who, std::move(key),
                       commands::start_cultivation{player, "basic_qi_gathering", {}}),
                  "sessionId");
    }
    static base::uuid id(const commands::outcome& of, const char* key) {
        const auto* text = of.body.if_contains(key);
        return text == nullptr ? base::uuid{} : *base::uuid::parse(text->get_string());
    }
    static commands::actor account(std::string_view name) {
        return {base::uuid::make_derived("test", name)};
    }
    double metric(const std::string& line) {
        const std::string text = metrics_.text();
        const auto at = text.find('\n' + line + ' ');
        return at == std::string::npos ? 0 : std::stod(text.substr(at + line.size() + 2));
    }

    commands::fault_store faults_{*store_};
    base::seeded_random random_{7};
    std::unique_ptr<commands::service> commands_;
};

} // namespace immortal::ops::testing
