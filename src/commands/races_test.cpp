// Many callers at once, on two services that share a store, while the store fails at random.
#include "commands/command_fixture.hpp"

#include <map>
#include <random>
#include <set>
#include <thread>

namespace immortal::commands {
namespace {

class races_test : public world {
protected:
    struct answer {
        std::string body;
        base::position position;
    };

    // Repeats until the outcome is known; null if refused.
    std::optional<answer> insist(std::size_t number, const std::string& key,
                                 const game_command& command) {
        for (;;) {
            auto out = execute(key, command, number);
            if (out) {
                return answer{text(*out), out->position};
            }
            switch (out.error().code) {
            case base::errc::unknown_outcome:
            case base::errc::unavailable:
            case base::errc::timeout:
                continue;
            default:
                return std::nullopt;
            }
        }
    }
    void check_history(const base::uuid& player_id, std::size_t commands);
};

void races_test::check_history(const base::uuid& player_id, std::size_t commands) {
    const auto folded = player(player_id);
    std::set<base::uuid> ids;
    std::set<std::string> seen;
    for (const auto& e : events(game::player::stream_of(player_id))) {
        EXPECT_TRUE(ids.insert(e.id).second) << "an event stands twice";
        const auto parts = game::parse_metadata(e.metadata);
        if (parts.request) {
            EXPECT_TRUE(seen.insert(parts.command_id->text()).second)
                << "a command took effect twice";
        }
    }
    EXPECT_EQ(seen.size(), commands);
    EXPECT_GE(folded.state.energy, 0);
}

TEST_F(races_test, one_command_many_times_has_one_effect) {
    const base::uuid player_id = ready_player();
    (void)server(1);
    constexpr int rounds = 20;
    constexpr int callers = 6;
    for (int round = 0; round < rounds; ++round) {
        const std::string key = "go" + std::to_string(round);
        const move_player command{player_id, round % 2 == 0 ? "bamboo_forest" : "newbie_village"};
        std::vector<std::thread> threads;
        std::mutex mutex;
        std::set<std::pair<std::string, std::uint64_t>> answers;
        int fresh = 0;
        for (int c = 0; c < callers; ++c) {
            threads.emplace_back([&, c] {
                const auto out = execute(key, command, static_cast<std::size_t>(c % 2));
                const std::lock_guard lock(mutex);
                ASSERT_TRUE(out.has_value()) << out.error().message;
                answers.emplace(text(*out), out->position.value);
                fresh += out->repeated ? 0 : 1;
            });
        }
        for (auto& t : threads) {
            t.join();
        }
        EXPECT_EQ(answers.size(), 1u);
        EXPECT_EQ(fresh, 1);
    }
    check_history(player_id, rounds + 2);
}

TEST_F(races_test, one_name_for_many_players_goes_to_one) {
    (void)server(1);
    std::vector<std::thread> threads;
    std::atomic<int> made = 0;
    for (int c = 0; c < 8; ++c) {
        threads.emplace_back([&, c] {
            const auto out = execute("key" + std::to_string(c), create_player{"独孤"},
                                     static_cast<std::size_t>(c % 2));
            if (out) {
                ++made;
            } else {
                EXPECT_EQ(out.error().reason, "name_taken");
            }
        });
    }
    for (auto& t : threads) {
        t.join();
    }
    EXPECT_EQ(made, 1);
}

class chaos_test : public races_test {
protected:
    std::mutex mutex_;
    std::mt19937_64 fault_dice_{seed};
    base::uuid player_id_;
    std::map<std::string, answer> accepted_; // by key
    std::map<std::string, game_command> commands_;

    fault any_fault() {
        const std::lock_guard lock(mutex_);
        switch (fault_dice_() % 12) {
        case 0:
            return fault::unknown_not_written;
        case 1:
            return fault::unknown_but_written;
        case 2:
            return fault::unavailable;
        case 3:
            return fault::conflict;
        default:
            return fault::none;
        }
    }
    game_command any_command(std::mt19937_64& dice) {
        const auto session = player(player_id_).state.cultivation_session;
        switch (dice() % 5) {
        case 0:
            return move_player{player_id_, dice() % 2 == 0 ? "bamboo_forest" : "newbie_village"};
        case 1:
            return session ? game_command(interrupt_cultivation{*session}) : rest{player_id_};
        case 2:
            return session ? game_command(complete_cultivation{*session}) : rest{player_id_};
        default:
            return start_cultivation{player_id_, "basic_qi_gathering", {}};
        }
    }
    void play(std::size_t caller) {
        std::mt19937_64 dice(seed + caller);
        for (std::size_t i = 0; i < 60; ++i) {
            const std::string key = std::to_string(caller) + ':' + std::to_string(i);
            const game_command command = any_command(dice);
            clock_.advance(milliseconds(dice() % 600));
            if (auto out = insist((caller + i) % 2, key, command)) {
                const std::lock_guard lock(mutex_);
                accepted_.emplace(key, *out);
                commands_.emplace(key, command);
            }
        }
    }
    void expect_the_first_answers() {
        for (const auto& [key, first] : accepted_) {
            const outcome again = done(key, commands_.at(key));
            EXPECT_TRUE(again.repeated);
            EXPECT_EQ(text(again), first.body);
            EXPECT_EQ(again.position, first.position);
        }
    }
};

TEST_F(chaos_test, on_two_services_breaks_no_promise) {
    settings_.rules.time_scale = 3600;
    settings_.retry_min = milliseconds(1);
    settings_.retry_max = milliseconds(2);
    settings_.snapshot_every = 20;
    player_id_ = ready_player();
    (void)server(1);
    store_.plan([this](std::size_t) { return any_fault(); });
    std::vector<std::thread> threads;
    for (std::size_t caller = 0; caller < 4; ++caller) {
        threads.emplace_back([this, caller] { play(caller); });
    }
    for (auto& t : threads) {
        t.join();
    }
    store_.plan({});
    EXPECT_GT(accepted_.size(), 20u);
    check_history(player_id_, accepted_.size() + 2);
    restart();
    expect_the_first_answers();
    std::int64_t granted = 0;
    for (const auto& e : events(game::player::stream_of(player_id_))) {
        if (e.type == "ExperienceGained") {
            granted += base::parse_json(e.data)->at("amount").as_int64();
        }
    }
    EXPECT_EQ(player(player_id_).state.experience, granted);
}

TEST_F(races_test, many_players_at_once) {
    (void)server();
    constexpr std::size_t players = 16;
    std::vector<std::thread> threads;
    for (std::size_t p = 0; p < players; ++p) {
        threads.emplace_back([&, p] {
            const std::string n = std::to_string(p);
            const auto made = execute("create" + n, create_player{"p" + n});
            ASSERT_TRUE(made.has_value());
            const base::uuid id_of = id(*made, "playerId");
            for (int i = 0; i < 20; ++i) {
                const auto moved =
                    execute(n + ':' + std::to_string(i),
                            move_player{id_of, i % 2 == 0 ? "bamboo_forest" : "newbie_village"});
                ASSERT_TRUE(moved.has_value()) << moved.error().message;
            }
            EXPECT_EQ(player(id_of).revision->value, 20u);
        });
    }
    for (auto& t : threads) {
        t.join();
    }
}

} // namespace
} // namespace immortal::commands
