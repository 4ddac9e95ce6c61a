#include "eventlog/correlation.hpp"
#include "eventlog/memory_index.hpp"
#include "eventlog/position_list.hpp"
#include "eventlog/recent_ids.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>

namespace immortal::eventlog {
namespace {

using positions = std::vector<base::position>;

class index_test : public testing::Test {
protected:
    void add(std::string_view stream, std::string_view type, std::uint64_t revision,
             std::uint64_t position) {
        const index_entry entry{stream, type, {}, {revision}, {position}};
        index_->add({position - 1}, std::span(&entry, 1));
    }
    positions of_stream(std::string_view stream, std::uint64_t from, direction way,
                        std::size_t count, std::uint64_t end = 1000) {
        return index_->stream_positions(stream, {from}, way, count, {end}).value();
    }
    std::unique_ptr<log_index> index_ = make_memory_index();
};

TEST_F(index_test, finds_streams_categories_and_types_before_the_end) {
    add("a-1", "X", 0, 10);
    add("a-2", "Y", 0, 20);
    add("a-1", "Y", 1, 30);
    add("lonely", "X", 0, 40);
    EXPECT_EQ(index_->last_revision("a-1", {31}).value(), base::revision{1});
    EXPECT_EQ(index_->last_revision("a-1", {30}).value(), base::revision{0});
    EXPECT_FALSE(index_->last_revision("a-1", {10}).value());
    EXPECT_FALSE(index_->last_revision("none", {99}).value());
    EXPECT_EQ(of_stream("a-1", 0, direction::forwards, 9), (positions{{10}, {30}}));
    EXPECT_EQ(of_stream("a-1", 7, direction::backwards, 9), (positions{{30}, {10}}));
    EXPECT_EQ(of_stream("a-1", 7, direction::backwards, 9, 30), (positions{{10}}));
    EXPECT_EQ(of_stream("a-1", 1, direction::forwards, 9, 30), positions{});
    EXPECT_EQ(index_->view_size(index_view::category, "a", {99}).value(), 3u);
    EXPECT_EQ(
        index_->view_positions(index_view::category, "a", 1, direction::forwards, 9, {99}).value(),
        (positions{{20}, {30}}));
    EXPECT_EQ(index_->view_size(index_view::category, "lonely", {99}).value(), 0u);
    EXPECT_EQ(
        index_->view_positions(index_view::type, "X", 9, direction::backwards, 9, {99}).value(),
        (positions{{40}, {10}}));
}

TEST_F(index_test, takes_back_the_newest) {
    add("a-1", "X", 0, 10);
    add("a-1", "X", 1, 20);
    const index_entry last{"a-1", "X", {}, {1}, {20}};
    index_->take_back({19}, std::span(&last, 1));
    EXPECT_EQ(index_->last_revision("a-1", {99}).value(), base::revision{0});
    EXPECT_EQ(index_->view_size(index_view::type, "X", {99}).value(), 1u);
    add("a-1", "Z", 1, 30);
    EXPECT_EQ(index_->view_size(index_view::category, "a", {99}).value(), 2u);
}

TEST_F(index_test, views_hold_what_they_promise) {
    const auto put = [&](std::string_view stream, std::string_view type, std::string_view id,
                         base::revision revision, std::uint64_t position) {
        const index_entry entry{stream, type, id, revision, {position}};
        index_->add({position - 1}, std::span(&entry, 1));
    };
    put("a-1", "X", "c1", {0}, 10);
    put("a-2", "$>", "c1", {0}, 20); // a link counts in its stream and in $streams
    put("$$a-1", "$metadata", {}, {0}, 30);
    put("a-1", "Y", "c2", {1}, 40);
    put("a-1", "$streamDeleted", "c2", tombstone_revision, 50);
    put("lonely", "X", "c1", {0}, 60);
    const auto view = [&](index_view which, std::string_view name) {
        auto found = index_->view_positions(which, name, 0, direction::forwards, 9, {99}).value();
        EXPECT_EQ(index_->view_size(which, name, {99}).value(), found.size());
        auto back = index_->view_positions(which, name, 9, direction::backwards, 9, {99}).value();
        std::ranges::reverse(back);
        EXPECT_EQ(back, found);
        return found;
    };
    EXPECT_EQ(view(index_view::category, "a"), (positions{{10}, {40}}));
    EXPECT_EQ(view(index_view::category, "$$a"), positions{});
    EXPECT_EQ(view(index_view::type, "X"), (positions{{10}, {60}}));
    EXPECT_EQ(view(index_view::type, "$>"), positions{});
    EXPECT_EQ(view(index_view::type, "$streamDeleted"), positions{{50}});
    EXPECT_EQ(view(index_view::correlation, "c1"), (positions{{10}, {60}}));
    EXPECT_EQ(view(index_view::correlation, "c2"), positions{{40}});
    EXPECT_EQ(view(index_view::streams, ""), (positions{{10}, {20}, {30}, {60}}));
    EXPECT_EQ(view(index_view::category_streams, "a"), (positions{{10}, {20}}));
    // The tombstone ends the stream, and is seen by those who ask for it.
    EXPECT_EQ(index_->last_revision("a-1", {99}).value(), tombstone_revision);
    EXPECT_EQ(index_->last_revision("a-1", {50}).value(), base::revision{1});
    EXPECT_EQ(of_stream("a-1", 0, direction::forwards, 9), (positions{{10}, {40}}));
    EXPECT_EQ(of_stream("a-1", 5, direction::backwards, 9), (positions{{40}, {10}}));
    EXPECT_EQ(of_stream("a-1", ~0ull, direction::backwards, 9), (positions{{50}, {40}, {10}}));
    EXPECT_EQ(of_stream("a-1", tombstone_revision.value, direction::forwards, 9), positions{{50}});
}

TEST(correlation_test, is_found_where_json_says_it_stands) {
    std::string buffer;
    const auto of = [&](std::string_view metadata) {
        return std::string(correlation_of(metadata, buffer));
    };
    EXPECT_EQ(of(R"({"$correlationId":"abc"})"), "abc");
    EXPECT_EQ(of(R"( { "a" : {"$correlationId":"no"} , "$correlationId" : "yes" } )"), "yes");
    EXPECT_EQ(of(R"({"$correlationId":"x","b":[1,"]",{"c":"}"}],"d":null})"), "x");
    EXPECT_EQ(of(R"({"$correlationId":"1","$correlationId":"2"})"), "2");
    EXPECT_EQ(of(R"({"\u0024correlationId":"k"})"), "k");
    EXPECT_EQ(of("{\"\\u0024correlationId\":\"k\\u00e9\\ud83d\\ude00\\n\"}"),
              "k\xC3\xA9\xF0\x9F\x98\x80\n");
    for (const char* none :
         {"", "{}", "[]", "null", R"("$correlationId")", R"({"$correlationId":5})",
          R"({"$correlationId":"a")", R"({"$correlationId":"a"}x)", R"({"a":"$correlationId"})",
          R"([{"$correlationId":"a"}])", R"({"$correlationId":"a)", R"({"$correlationId":"\q"})",
          R"({"$correlationId":"\ud800"})", R"({"$correlationId":{"$correlationId":"a"}})"}) {
        EXPECT_EQ(of(none), "") << none;
    }
}

TEST(position_list_test, grows_and_shrinks_over_chunks) {
    position_list list;
    for (std::uint64_t i = 0; i < 20'000; ++i) {
        list.push_back({i * 3 + 1});
    }
    for (std::uint64_t i = 0; i < 20'000; i += 97) {
        EXPECT_EQ(list[i].value, i * 3 + 1);
        EXPECT_EQ(list.count_before({i * 3 + 1}), i);
        EXPECT_EQ(list.count_before({i * 3 + 2}), i + 1);
    }
    EXPECT_EQ(list.count_before({~0ull}), 20'000u);
    EXPECT_EQ(list.count_before({0}), 0u);
    while (list.size() > 4000) {
        list.pop_back();
    }
    list.push_back({100'000});
    EXPECT_EQ(list.back().value, 100'000u);
    EXPECT_EQ(list[3999].value, 3999u * 3 + 1);
}

TEST(recent_ids_test, what_is_taken_back_gives_the_earlier_event_back_across_generations) {
    for (std::uint64_t between = 0; between < 12; ++between) {
        recent_ids ids(8, 42);
        base::uuid id;
        id.bytes[0] = 1;
        EXPECT_FALSE(ids.add("s", id, {{1}, {100}}));
        for (std::uint64_t i = 0; i < between; ++i) {
            id.bytes[0] = static_cast<std::uint8_t>(10 + i);
            EXPECT_FALSE(ids.add("s", id, {{i}, {i}}));
        }
        id.bytes[0] = 1;
        const auto earlier = ids.find("s", id);
        const auto once = ids.add("s", id, {{2}, {200}});
        const auto twice = ids.add("s", id, {{3}, {300}});
        EXPECT_EQ(once.has_value(), earlier.has_value());
        ASSERT_TRUE(twice);
        EXPECT_EQ(twice->position, base::position{200});
        ids.take_back("s", id, twice);
        EXPECT_EQ(ids.find("s", id)->position, base::position{200});
        ids.take_back("s", id, once);
        const auto left = ids.find("s", id);
        EXPECT_EQ(left.has_value(), earlier.has_value()) << between;
        EXPECT_TRUE(!left || left->position == base::position{100});
    }
}

TEST(recent_ids_test, remembers_per_stream_up_to_its_capacity) {
    recent_ids ids(100, 42);
    base::uuid id;
    for (std::uint8_t i = 0; i < 250; ++i) {
        id.bytes[5] = i;
        ids.add("s", id, {{i}, {i}});
    }
    EXPECT_EQ(ids.find("s", id)->revision.value, 249u);
    EXPECT_FALSE(ids.find("t", id));
    id.bytes[5] = 205; // at least half of the capacity
    EXPECT_TRUE(ids.find("s", id));
    id.bytes[5] = 100;
    EXPECT_FALSE(ids.find("s", id));
    id.bytes[5] = 249;
    ids.add("s", id, {{300}, {300}});
    EXPECT_EQ(ids.find("s", id)->revision.value, 300u);
    ids.take_back("s", id, std::nullopt);
    EXPECT_FALSE(ids.find("s", id));
}

} // namespace
} // namespace immortal::eventlog
