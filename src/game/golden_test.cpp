// Events, states and enumerators as the released version wrote them.
#include "base/golden_testing.hpp"
#include "game/cultivation.hpp"
#include "game/home.hpp"
#include "game/player.hpp"

namespace immortal::game {
namespace {

using base::testing::expect_golden;
using base::testing::sample_maker;

std::filesystem::path golden(const char* name) {
    return std::filesystem::path(IMMORTAL_GOLDEN) / name;
}

template <typename Variant>
struct event_samples;

template <typename... Events>
struct event_samples<std::variant<Events...>> {
    static base::testing::samples<Events...> make() {
        return base::testing::samples<Events...>({Events::type_name...});
    }
};

TEST(golden, events_of_a_player) {
    const auto samples = event_samples<player::event>::make();
    expect_golden(golden("player_events.txt"), samples.lines());
    samples.expect_readable(golden("player_events.txt"));
}

TEST(golden, events_of_a_cultivation) {
    const auto samples = event_samples<cultivation::event>::make();
    expect_golden(golden("cultivation_events.txt"), samples.lines());
    samples.expect_readable(golden("cultivation_events.txt"));
}

template <typename State>
void expect_snapshot(const char* name, State state) {
    home<State> sample{std::move(state), {}, base::revision{41}};
    const auto id = [](const char* text) { return base::uuid::make_derived("golden", text); };
    game::request_hash hash{};
    hash.fill(0xa5);
    sample.commands.remember({id("first"), hash, {7}, {1'000}});
    sample.commands.remember({id("second"), hash, {41}, {5'000}});
    expect_golden(golden(name), {encode_snapshot(sample)});
    const auto decoded = decode_snapshot<State>(base::testing::read_lines(golden(name)).at(0));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(*decoded, sample);
}

TEST(golden, snapshot_of_a_player) {
    expect_snapshot("player_snapshot.json", sample_maker{}.make<player::state>());
}

TEST(golden, snapshot_of_a_cultivation) {
    expect_snapshot("cultivation_snapshot.json", sample_maker{}.make<cultivation::state>());
}

template <typename Enum>
std::string enumerators(std::string name) {
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<Enum>>(
        [&](auto enumerator) { (name += ' ') += enumerator.name; });
    return name;
}

TEST(golden, enumerators_in_events) {
    expect_golden(golden("enumerators.txt"),
                  {
                      enumerators<player_status>("player_status"),
                      enumerators<energy_reason>("energy_reason"),
                      enumerators<experience_source>("experience_source"),
                      enumerators<currency>("currency"),
                      enumerators<currency_reason>("currency_reason"),
                      enumerators<attributes_reason>("attributes_reason"),
                      enumerators<technique_type>("technique_type"),
                      enumerators<item_type>("item_type"),
                      enumerators<rarity>("rarity"),
                      enumerators<weather>("weather"),
                      enumerators<session_status>("session_status"),
                  });
}

TEST(golden, metadata_of_a_command) {
    const metadata_parts parts{base::uuid::make_derived("golden", "command"), "system",
                               *base::parse_iso("2026-01-01T12:00:00.000Z")};
    game::request_hash hash{};
    hash.fill(0x5a);
    expect_golden(golden("command_metadata.txt"),
                  {make_metadata(parts), make_home_metadata(parts, hash, R"({"energy":7})")});
    const auto parsed =
        parse_metadata(base::testing::read_lines(golden("command_metadata.txt")).at(1));
    EXPECT_EQ(parsed.command_id, parts.command_id);
    EXPECT_EQ(parsed.request, hash);
    EXPECT_EQ(parsed.outcome, R"({"energy":7})");
    EXPECT_EQ(parsed.at, parts.at);
}

} // namespace
} // namespace immortal::game
