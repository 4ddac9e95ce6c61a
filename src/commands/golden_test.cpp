// A life of two players as the released version wrote it: every event with its metadata, every
// answer and every refusal; and the same log read by this version.
#include "base/golden_testing.hpp"
#include "base/hash.hpp"
#include "commands/command_fixture.hpp"
#include "commands/request.hpp"

#include <set>

namespace immortal::commands {
namespace {

using base::testing::expect_golden;
using base::testing::read_lines;
using std::chrono::hours;

std::filesystem::path golden(const char* name) {
    return std::filesystem::path(IMMORTAL_GOLDEN) / name;
}

// One command of the life, as it was given.
struct step {
    actor who;
    std::string key;
    game_command command;
};

class golden_life : public world {
protected:
    // Gives the command to a service that knows nothing but the log, notes what comes of it, and
    // waits for what it does in the background: the order of the log is then always the same.
    outcome play(const actor& who, std::string key, game_command command) {
        const request given = make_request(who, key, command);
        json::object line{{"key", key},
                          {"command", command_names()[command.index()]},
                          {"commandId", given.command_id.text()},
                          {"requestHash", hex_of(given.hash)}};
        auto answer = engine_.run(server().execute(who, key, command));
        restart();
        if (answer) {
            line["answer"] = json::serialize(answer->body);
            steps_.push_back({who, std::move(key), std::move(command)});
        } else {
            line["reason"] = answer.error().reason;
            line["field"] = answer.error().field;
            line["code"] = static_cast<int>(answer.error().code);
        }
        answers_.push_back(json::serialize(line));
        return answer.value_or(outcome{});
    }
    outcome play(std::string key, game_command command) {
        return play(who_, std::move(key), std::move(command));
    }

    void live() {
        (void)random_.next(); // with these dice a breakthrough fails, and a later one succeeds
        const base::uuid first = id(play("create", create_player{"韩立"}), "playerId");
        const base::uuid other = id(play("create other", create_player{"Zhang"}), "playerId");
        play("name taken", create_player{"韩立"});
        play("learn", learn_technique{first, "basic_qi_gathering"});
        play("learn twice", learn_technique{first, "basic_qi_gathering"});
        play("nowhere", move_player{first, "nowhere"});
        play("nobody", rest{base::uuid::make_derived("test", "nobody")});
        walk(other, 101);
        play("early rest", rest{first});
        clock_.advance(hours(2));
        const base::uuid begun =
            id(play("start", start_cultivation{first, "basic_qi_gathering", {}}), "sessionId");
        play("busy", move_player{first, "bamboo_forest"});
        play("early", complete_cultivation{begun});
        clock_.advance(std::chrono::minutes(10));
        play("progress", progress_cultivation{begun});
        play("interrupt", interrupt_cultivation{begun});
        play("rest", rest{first});
        cultivate_until_both_ends(first);
        leave_alone(first);
        play(system_actor(), "erase", erase_player{first});
    }

    void walk(const base::uuid& player, int count) {
        for (int i = 0; i < count; ++i) {
            play("walk" + std::to_string(i),
                 move_player{player, i % 2 == 0 ? "bamboo_forest" : "newbie_village"});
        }
    }

    // Sessions until a breakthrough has failed and one has succeeded.
    void cultivate_until_both_ends(const base::uuid& player) {
        std::set<std::string> ends;
        for (int i = 0; i < 60 && ends.size() < 2; ++i) {
            clock_.advance(hours(48));
            const std::string number = std::to_string(i);
            const base::uuid session =
                id(play("start" + number, start_cultivation{player, "basic_qi_gathering", {}}),
                   "sessionId");
            clock_.advance(hours(4));
            const outcome ended = play("complete" + number, complete_cultivation{session});
            if (ended.body.at("status") == "failed") {
                ends.insert("failed");
            } else if (ended.body.at("breakthroughAchieved").as_bool()) {
                ends.insert("achieved");
            }
        }
        EXPECT_EQ(ends.size(), 2u) << "neither a failed nor a successful breakthrough";
    }

    void leave_alone(const base::uuid& player) {
        clock_.advance(hours(48));
        const base::uuid session =
            id(play("start last",
                    start_cultivation{player, "basic_qi_gathering", std::string("newbie_village")}),
               "sessionId");
        clock_.advance(hours(72));
        play(system_actor(), "due", complete_unattended{session});
        clock_.advance(hours(48));
        play("start erased", start_cultivation{player, "basic_qi_gathering", {}});
    }

    std::vector<std::string> log() {
        std::vector<std::string> lines;
        auto page = engine_.run(memory_->read_all({}, eventstore::direction::forwards, 100'000));
        EXPECT_TRUE(page.has_value());
        for (const auto& event : page->events) {
            lines.push_back(json::serialize(json::object{{"stream", event.stream},
                                                         {"revision", event.revision.value},
                                                         {"position", event.position.value},
                                                         {"id", event.id.text()},
                                                         {"type", event.type},
                                                         {"data", event.data},
                                                         {"metadata", event.metadata}}));
        }
        return lines;
    }

    static std::string hex_of(const game::request_hash& hash) { return base::hex(hash); }

    std::vector<std::string> answers_;
    std::vector<step> steps_; // those that were accepted
};

TEST_F(golden_life, is_written_as_by_the_released_version) {
    live();
    expect_golden(golden("answers.jsonl"), answers_);
    expect_golden(golden("log.jsonl"), log());
}

TEST_F(golden_life, is_read_as_it_was_released) {
    live();
    const auto given = std::move(steps_);
    memory_ = eventstore::make_memory_store(clock_);
    fault_store released{*memory_};
    for (const std::string& line : read_lines(golden("log.jsonl"))) {
        const auto event = base::parse_json(line)->as_object();
        const auto text = [&](const char* key) { return std::string(event.at(key).as_string()); };
        std::vector<eventstore::stream_write> writes;
        writes.push_back({.stream = text("stream"),
                          .events = {{.id = *base::uuid::parse(text("id")),
                                      .type = text("type"),
                                      .data = text("data"),
                                      .metadata = text("metadata")}}});
        ASSERT_TRUE(engine_.run(memory_->append(std::move(writes)))) << line;
    }
    service reader(engine_.executor(),
                   service::parts{released, game::catalog::builtin(), clock_, random_, metrics_},
                   settings_);
    std::size_t repeated = 0;
    for (const std::string& line : read_lines(golden("answers.jsonl"))) {
        const auto answer = base::parse_json(line)->as_object();
        if (!answer.contains("answer")) {
            continue;
        }
        const step& same = given.at(repeated++);
        auto again = engine_.run(reader.execute(same.who, same.key, same.command));
        ASSERT_TRUE(again.has_value()) << line << ": " << again.error().message;
        EXPECT_TRUE(again->repeated) << line;
        EXPECT_EQ(text(*again), std::string(answer.at("answer").as_string()));
    }
    EXPECT_EQ(repeated, given.size());
    engine_.run(reader.stop());
}

} // namespace
} // namespace immortal::commands
