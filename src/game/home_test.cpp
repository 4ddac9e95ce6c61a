#include "game/home.hpp"
#include "game/player.hpp"
#include "game/scenario.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace immortal::game {
namespace {

using player_home = home<player::state>;

base::uuid command(int n) {
    return base::uuid::make_derived("command", std::to_string(n));
}

request_hash request(int n) {
    return command(1000 + n).bytes;
}

// A player's stream as a store would keep it: two events a command.
std::vector<eventlog::recorded_event> stream_of_commands(int count) {
    std::vector<eventlog::recorded_event> out;
    scenario s;
    s.create();
    for (int n = 0; n < count; ++n) {
        const metadata_parts parts{command(n), "account", s.now()};
        const std::string body = R"({"n":)" + std::to_string(n) + R"(,"text":"\"quoted\" 道"})";
        for (int part = 0; part < 2; ++part) {
            eventlog::recorded_event e;
            const auto number = static_cast<std::uint64_t>(n * 2 + part);
            e.position = base::position{1000 + number * 10};
            e.revision = base::revision{number};
            const auto text = n == 0 && part == 0
                                  ? encoded_event{s.player_log[0].first, s.player_log[0].second}
                                  : encode_event(player::event{player::player_moved{
                                        s.who.id, "a", std::to_string(number), {}, s.now()}});
            e.type = text.type;
            e.data = text.data;
            e.metadata =
                part == 0 ? make_home_metadata(parts, request(n), body) : make_metadata(parts);
            out.push_back(std::move(e));
        }
    }
    return out;
}

player_home fold_all(const std::vector<eventlog::recorded_event>& events, player_home from = {}) {
    for (const auto& e : events) {
        if (!from.revision || e.revision > *from.revision) {
            EXPECT_TRUE(fold(from, e).has_value());
        }
    }
    return from;
}

TEST(home, metadata_says_what_was_put_in) {
    const metadata_parts parts{command(1), "someone", noon};
    const std::string text = make_home_metadata(parts, request(1), R"({"a":"\"\u0001\""})");
    const event_metadata read = parse_metadata(text);
    EXPECT_EQ(read.command_id, command(1));
    EXPECT_EQ(read.request, request(1));
    EXPECT_EQ(read.outcome, R"({"a":"\"\u0001\""})");
    EXPECT_EQ(read.actor, "someone");
    EXPECT_EQ(read.at, noon);
    EXPECT_EQ(read.correlation_id, command(1).text());
    for (const auto& entry : base::parse_json(text)->as_object()) {
        EXPECT_TRUE(entry.value().is_string()) << entry.key();
    }
    EXPECT_FALSE(parse_metadata(make_metadata(parts)).request);
}

TEST(home, strangers_metadata_is_passed_over) {
    command_memory memory;
    for (const char* text : {"", "x", "[]", "{}", R"({"commandId":7})", R"({"commandId":"7"})"}) {
        memory.evolve(text, base::revision{0}, base::position{1});
    }
    EXPECT_EQ(memory.size(), 0u);
}

TEST(home, remembers_where_the_answer_is_and_the_last_position) {
    const auto folded = fold_all(stream_of_commands(3));
    const command_record* record = folded.commands.find(command(1));
    ASSERT_NE(record, nullptr);
    EXPECT_EQ(record->request, request(1));
    EXPECT_EQ(record->revision, base::revision{2});
    EXPECT_EQ(record->position, base::position{1030});
    EXPECT_EQ(folded.commands.find(command(7)), nullptr);
    EXPECT_EQ(folded.revision, base::revision{5});
}

TEST(home, remembers_the_last_256_commands) {
    const auto folded = fold_all(stream_of_commands(300));
    EXPECT_EQ(folded.commands.size(), commands_remembered);
    EXPECT_EQ(folded.commands.find(command(43)), nullptr);
    EXPECT_NE(folded.commands.find(command(44)), nullptr);
    EXPECT_NE(folded.commands.find(command(299)), nullptr);
}

TEST(home, snapshot_and_tail_equal_the_whole_fold) {
    const auto events = stream_of_commands(290);
    const auto whole = fold_all(events);
    for (const std::size_t at : {1u, 2u, 99u, 100u, 101u, 577u, 580u}) {
        const auto part = fold_all({events.begin(), events.begin() + static_cast<long>(at)});
        auto snapshot = decode_snapshot<player::state>(encode_snapshot(part));
        ASSERT_TRUE(snapshot.has_value()) << snapshot.error().message;
        EXPECT_EQ(*snapshot, part);
        EXPECT_EQ(fold_all(events, *snapshot), whole) << at;
    }
}

TEST(home, unfit_snapshots_are_refused) {
    const std::string good = encode_snapshot(fold_all(stream_of_commands(2)));
    const auto code_of = [](std::string text) {
        const auto out = decode_snapshot<player::state>(text);
        return out ? base::errc::internal : out.error().code;
    };
    const auto with = [&](std::string_view from, std::string_view to) {
        std::string out = good;
        const auto at = out.find(from);
        EXPECT_NE(at, std::string::npos);
        return out.replace(at, from.size(), to);
    };
    const std::string version = "\"rulesVersion\":" + std::to_string(rules_version);
    EXPECT_EQ(code_of(with(version, R"("rulesVersion":0)")), base::errc::mismatch);
    EXPECT_EQ(code_of(with(R"("level":1)", R"("level":"1")")), base::errc::corrupt);
    EXPECT_EQ(code_of(with(R"("level":1)", R"("grade":1)")), base::errc::corrupt);
    EXPECT_EQ(code_of(with(R"("revision":3)", R"("revision":-3)")), base::errc::corrupt);
    EXPECT_EQ(code_of(with(R"("commands":[[)", R"("commands":[[7,)")), base::errc::corrupt);
    EXPECT_EQ(code_of(good.substr(0, good.size() / 2)), base::errc::corrupt);
    EXPECT_EQ(code_of(""), base::errc::corrupt);
    EXPECT_EQ(snapshot_stream_of("player-1"), "snapshot_player-1");
}

} // namespace
} // namespace immortal::game
