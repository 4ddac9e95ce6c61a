// What the scenarios of the event-store port stand on: the adapter under test and a small language.
#pragma once

#include "base/random.hpp"
#include "eventstore/event_store.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace immortal::eventstore {

// Keeps an adapter and what it stands on.
class scenario_store {
public:
    virtual ~scenario_store() = default;
    virtual event_store& store() = 0;
};

struct scenario_adapter {
    std::string name;
    std::function<std::unique_ptr<scenario_store>()> make;
    std::set<std::string> without = {}; // scenarios that cannot hold there; says why beside them
};

inline new_event make_event(std::uint64_t number, std::string type = "Happened",
                            std::size_t padding = 0) {
    base::uuid id;
    for (std::size_t i = 0; i < 8; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    id.bytes[0] = 1;
    return {id, std::move(type),
            R"({"number":)" + std::to_string(number) + R"(,"pad":")" + std::string(padding, 'x') +
                "\"}",
            R"({"actor":"test"})", eventlog::content::json};
}

inline std::vector<new_event> make_events(std::uint64_t first, std::size_t count) {
    std::vector<new_event> events;
    for (std::size_t i = 0; i < count; ++i) {
        events.push_back(make_event(first + i));
    }
    return events;
}

class event_store_scenarios : public testing::TestWithParam<scenario_adapter> {
protected:
    void SetUp() override {
        engine_.start();
        const std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
        if (GetParam().without.contains(test.substr(0, test.find('/')))) {
            GTEST_SKIP() << "not promised by this adapter";
        }
        holder_ = GetParam().make();
        before_ = store().head();
    }
    void TearDown() override {
        engine_.stop();
        holder_.reset();
    }

    event_store& store() { return holder_->store(); }
    // What a new store wrote by itself stands before the scenario's events.
    [[nodiscard]] std::uint64_t start() const { return before_ ? before_->value + 1 : 0; }

    base::result<append_outcome> append(std::vector<stream_write> writes) {
        return engine_.run(store().append(std::move(writes)));
    }
    base::result<append_outcome> append(std::string stream, expected_revision expected,
                                        std::vector<new_event> events) {
        std::vector<stream_write> writes;
        writes.push_back({std::move(stream), expected, std::move(events)});
        return append(std::move(writes));
    }
    stream_page read(std::string stream, std::uint64_t from = 0,
                     direction way = direction::forwards, std::size_t count = 1000) {
        auto page = engine_.run(store().read_stream(std::move(stream), {from}, way, count));
        EXPECT_TRUE(page) << page.error().message;
        return page.value_or(stream_page{});
    }
    // Only what the scenario wrote, unless it reads backwards beyond that.
    all_page read_all(std::uint64_t from = 0, direction way = direction::forwards,
                      std::size_t count = 1000, all_filter filter = {}) {
        if (way == direction::forwards) {
            from = std::max(from, start());
        }
        auto page = engine_.run(store().read_all({from}, way, count, std::move(filter)));
        EXPECT_TRUE(page) << page.error().message;
        return page.value_or(all_page{});
    }
    std::optional<base::revision> last_of(std::string stream) {
        return engine_.run(store().stream_head(std::move(stream))).value();
    }
    base::result<subscription::batch> next(subscription& from, std::size_t count = 100) {
        return engine_.run(from.next(count));
    }

    static void expect_written(const base::result<append_outcome>& outcome, std::uint64_t last) {
        ASSERT_TRUE(outcome) << outcome.error().message;
        EXPECT_FALSE(outcome->repeated);
        ASSERT_EQ(outcome->last_revisions.size(), 1u);
        EXPECT_EQ(outcome->last_revisions[0], base::revision{last});
    }
    static void expect_repeated(const base::result<append_outcome>& outcome,
                                const base::result<append_outcome>& first) {
        ASSERT_TRUE(outcome) << outcome.error().message;
        EXPECT_TRUE(outcome->repeated);
        EXPECT_EQ(outcome->position, first->position);
        EXPECT_EQ(outcome->last_revisions, first->last_revisions);
    }
    static void expect_conflict(const base::result<append_outcome>& outcome,
                                const std::string& stream = "s-1") {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code, base::errc::conflict) << outcome.error().message;
        EXPECT_EQ(outcome.error().field, stream);
    }
    static std::vector<std::uint64_t> revisions_of(const std::vector<recorded_event>& events) {
        std::vector<std::uint64_t> out;
        for (const auto& event : events) {
            out.push_back(event.revision.value);
        }
        return out;
    }

    static void expect_refused(const base::result<append_outcome>& outcome, base::errc code,
                               const std::string& reason) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code, code) << outcome.error().message;
        EXPECT_EQ(outcome.error().reason, reason);
    }
    base::result<append_outcome> remove(std::string stream, expected_revision expected = {}) {
        return append({{std::move(stream), expected, {}, stream_write::action::soft_delete}});
    }
    base::result<append_outcome> tombstone(std::string stream, expected_revision expected = {}) {
        return append({{std::move(stream), expected, {}, stream_write::action::tombstone}});
    }
    // Writes metadata and gives the outcome.
    base::result<append_outcome> set_metadata(const std::string& stream, std::string json,
                                              std::uint64_t number = 900'000) {
        new_event event = make_event(number + metadata_written_++, "$metadata");
        event.data = std::move(json);
        event.metadata.clear();
        return append("$$" + stream, expected_revision::any(), {std::move(event)});
    }
    stream_info info(std::string stream) {
        auto found = engine_.run(store().info(std::move(stream)));
        EXPECT_TRUE(found) << found.error().message;
        return found.value_or(stream_info{});
    }
    base::errc read_error(std::string stream) {
        auto page =
            engine_.run(store().read_stream(std::move(stream), {0}, direction::forwards, 10));
        return page ? base::errc::internal : page.error().code;
    }
    std::vector<resolved_event> resolve(std::vector<recorded_event> events) {
        auto found = engine_.run(store().resolve_links(std::move(events)));
        EXPECT_TRUE(found) << found.error().message;
        return found.value_or(std::vector<resolved_event>{});
    }

    runtime::engine engine_;
    std::unique_ptr<scenario_store> holder_;
    std::optional<base::position> before_; // the head of the new store
    std::uint64_t metadata_written_ = 0;
};

using expected = expected_revision;
using numbers = std::vector<std::uint64_t>;

} // namespace immortal::eventstore
