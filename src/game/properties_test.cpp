// Random lives: whatever a player does, the invariants hold, and the log tells the whole story.
#include "game/scenario.hpp"

#include <random>

namespace immortal::game {
namespace {

void step(scenario& s, std::mt19937_64& random) {
    static const std::vector<std::string> techniques = [] {
        std::vector<std::string> out{"nothing"};
        for (const technique& t : catalog::builtin().techniques()) {
            out.push_back(t.technique_id);
        }
        return out;
    }();
    static const std::vector<std::string> places = [] {
        std::vector<std::string> out{"nowhere"};
        for (const location& l : catalog::builtin().locations()) {
            out.push_back(l.location_id);
        }
        return out;
    }();
    const auto any = [&](const std::vector<std::string>& of) { return of[random() % of.size()]; };
    switch (random() % 12) {
    case 0:
        s.learn(any(techniques));
        break;
    case 1:
        s.rest();
        break;
    case 2:
        s.move(any(places));
        break;
    case 3:
        s.progress();
        break;
    case 4:
        random() % 4 == 0 ? s.complete_unattended() : s.interrupt();
        break;
    case 5:
        s.start(any(techniques));
        break;
    case 6:
    case 7:
        if (!s.who.techniques.empty()) {
            s.start(s.who.techniques[random() % s.who.techniques.size()].technique_id);
        }
        break;
    default:
        s.complete();
    }
    s.pass(std::chrono::milliseconds(random() % 3 == 0 ? random() % 1'000'000'000
                                                       : random() % 10'000'000));
    if (random() % 50 == 0) {
        s.pass(std::chrono::hours(-30)); // somebody set the clock
    }
}

void expect_sound(const scenario& s) {
    const player::state& who = s.who;
    ASSERT_GE(who.energy, 0);
    ASSERT_LE(who.energy, who.attributes_now.max_energy);
    ASSERT_EQ(who.experience, s.granted);
    ASSERT_EQ(who.status == player_status::cultivating, who.cultivation_session.has_value());
    const realm* in = catalog::builtin().find_realm(who.realm);
    ASSERT_NE(in, nullptr);
    ASSERT_GE(who.level, in->first_level);
    ASSERT_LE(who.level, in->last_level);
    ASSERT_GE(who.experience, catalog::builtin().experience_at(who.level));
    if (who.level < in->last_level) {
        ASSERT_LT(who.experience, catalog::builtin().experience_at(who.level + 1));
    }
    ASSERT_LE(who.energy_since, who.updated_at);
    if (s.session.exists) {
        ASSERT_GE(s.session.progress, 0);
        ASSERT_LE(s.session.progress, 10'000);
        ASSERT_EQ(s.session.status == session_status::active,
                  who.cultivation_session == s.session.session_id);
    }
}

class lives : public testing::TestWithParam<std::uint64_t> {};

TEST_P(lives, keep_the_invariants_and_replay_to_the_same) {
    std::mt19937_64 random(GetParam());
    scenario s(GetParam());
    s.numbers.time_scale = GetParam() % 2 == 0 ? 1.0 : 60.0;
    s.create().learn("basic_qi_gathering");
    player::state half;
    std::size_t half_at = 0;
    for (int i = 0; i < 600; ++i) {
        const player::state before = s.who;
        const std::size_t events = s.player_log.size();
        step(s, random);
        ASSERT_NO_FATAL_FAILURE(expect_sound(s)) << "seed " << GetParam() << " step " << i;
        ASSERT_GE(s.who.updated_at, before.updated_at);
        if (!s.code.empty()) {
            ASSERT_EQ(s.who, before); // a refusal changes nothing
            ASSERT_EQ(s.player_log.size(), events);
        }
        if (i == 300) {
            half = s.who;
            half_at = s.player_log.size();
        }
    }
    player::state replayed;
    for (const auto& [type, data] : s.player_log) {
        ASSERT_TRUE(player::evolve(replayed, type, data).value());
    }
    EXPECT_EQ(replayed, s.who);

    auto from_half = base::decode<player::state>(*base::parse_json(base::encode_text(half)),
                                                 base::unknown_fields::refused);
    ASSERT_TRUE(from_half.has_value()) << from_half.error().message;
    for (std::size_t i = half_at; i < s.player_log.size(); ++i) {
        ASSERT_TRUE(
            player::evolve(*from_half, s.player_log[i].first, s.player_log[i].second).value());
    }
    EXPECT_EQ(*from_half, s.who);

    cultivation::state session;
    for (const auto& [type, data] : s.session_log) {
        ASSERT_TRUE(cultivation::evolve(session, type, data).value());
    }
    EXPECT_EQ(session, s.session);
    auto again = base::decode<cultivation::state>(*base::parse_json(base::encode_text(session)),
                                                  base::unknown_fields::refused);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(*again, session);
}

INSTANTIATE_TEST_SUITE_P(seeds, lives, testing::Range<std::uint64_t>(1, 41));

TEST(lives, somebody_breaks_through) {
    int broke_through = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        scenario s(seed);
        s.create().learn("basic_qi_gathering");
        for (int i = 0; i < 60; ++i) {
            s.hours(2).start().hours(1).complete();
        }
        broke_through += s.who.realm != "练气期" ? 1 : 0;
    }
    EXPECT_GE(broke_through, 4);
}

} // namespace
} // namespace immortal::game
