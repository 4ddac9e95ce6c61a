// What the event store keeps about itself as the released version wrote it: users and groups; and
// the same streams read by this version.
#include "base/golden_testing.hpp"
#include "esdb/group_registry.hpp"
#include "esdb/group_storage.hpp"
#include "esdb/source_event_testing.hpp"
#include "esdb/user_directory.hpp"
#include "eventstore/memory_store.hpp"
#include "runtime/engine.hpp"

#include <array>
#include <regex>

namespace immortal::esdb {
namespace {

using base::testing::expect_golden;
using base::testing::read_lines;
using eventstore::direction::forwards;

std::filesystem::path golden(const char* name) {
    return std::filesystem::path(IMMORTAL_GOLDEN) / name;
}

group_settings unusual_settings(consumer_strategy strategy) {
    return {.resolve_links = true,
            .extra_statistics = true,
            .strategy = strategy,
            .message_timeout = std::chrono::milliseconds(1),
            .checkpoint_after = std::chrono::milliseconds(3),
            .min_checkpoint_count = 5,
            .max_checkpoint_count = 7,
            .max_retry_count = 11,
            .max_subscriber_count = 13,
            .live_buffer_size = 19,
            .read_batch_size = 17,
            .history_buffer_size = 23};
}

class golden_streams : public testing::Test {
protected:
    golden_streams() { engine_.start(); }
    ~golden_streams() override {
        if (users_) {
            engine_.run(users_->stop());
        }
        engine_.stop();
        hasher_.stop();
    }

    void expect(const base::status& outcome) {
        EXPECT_TRUE(outcome) << (outcome ? "" : outcome.error().message);
        clock_.advance(std::chrono::milliseconds(1'001));
    }
    void open_users() {
        users_ =
            std::make_unique<user_directory>(*store_, hasher_, clock_, random_, engine_.executor());
        ASSERT_TRUE(engine_.run(users_->start()));
    }
    void live_of_users() {
        open_users();
        user_record reader;
        reader.login_name = "李明.r-1@x";
        reader.full_name = "Reader \"一\"";
        reader.groups = {"$ops", "readers"};
        user_record removed;
        removed.login_name = "gone";
        expect(engine_.run(users_->create(reader, "correct horse")));
        expect(engine_.run(users_->update(reader.login_name, "Other", {"readers"}, "")));
        expect(engine_.run(users_->set_disabled(reader.login_name, true)));
        expect(engine_.run(users_->set_disabled(reader.login_name, false)));
        expect(engine_.run(users_->reset_password(reader.login_name, "other horse")));
        expect(engine_.run(
            users_->change_password(reader.login_name, "other horse", "third horse", "source")));
        expect(engine_.run(users_->create(removed, "correct horse")));
        expect(engine_.run(users_->remove("gone")));
    }
    void live_of_groups() {
        group_registry registry({*store_, clock_, random_}, engine_.executor());
        expect(engine_.run(registry.start()));
        using kind = group_start::kind;
        using strategy = consumer_strategy;
        expect(engine_.run(registry.create({.stream = "s-1", .group = "g"}, "admin")));
        expect(engine_.run(registry.create({.stream = "s-文",
                                            .group = "g::2",
                                            .settings = unusual_settings(strategy::pinned),
                                            .start = {kind::place, 7}},
                                           "admin")));
        expect(engine_.run(
            registry.create({.stream = all_stream,
                             .group = "streams",
                             .settings = unusual_settings(strategy::pinned_by_correlation),
                             .start = {kind::end},
                             .filter = eventstore::all_filter{.stream_prefixes = {"a", "\"b"}}},
                            "other")));
        expect(engine_.run(
            registry.create({.stream = all_stream,
                             .group = "types",
                             .settings = unusual_settings(strategy::dispatch_to_single),
                             .filter = eventstore::all_filter{.user_events_only = true,
                                                              .type_expression = "^A.*\\d$"}},
                            "other")));
        expect(engine_.run(registry.update(
            {.stream = "s-1", .group = "g", .settings = unusual_settings(strategy::round_robin)},
            "admin")));
        expect(engine_.run(registry.create({.stream = "s-9", .group = "gone"}, "admin")));
        expect(engine_.run(registry.remove("s-9::gone", "admin")));
        engine_.run(registry.stop());
    }
    void keep(const std::string& key, bool of_all) {
        group_storage storage({*store_, clock_, random_}, key, of_all);
        ASSERT_TRUE(engine_.run(storage.load()));
        expect(engine_.run(storage.write_checkpoint(5)));
        expect(engine_.run(storage.write_checkpoint(700)));
        std::array<parking, 2> parked;
        for (std::uint64_t number = 0; number < parked.size(); ++number) {
            const auto event =
                std::make_shared<const eventstore::resolved_event>(make_source_event(number));
            parked[number] = {{event, number, event->event->id}, "no \"use\""};
        }
        ASSERT_TRUE(engine_.run(storage.park(parked)));
        if (of_all) { // a read of the whole log does not show these
            add_streams_of(key, hidden_);
        }
        expect(engine_.run(storage.truncate_parked(1)));
    }

    // What the page holds, with the hashes of passwords (their salt is of chance) replaced.
    template <typename Page>
    static void add_lines(const base::result<Page>& page, std::vector<std::string>& lines) {
        static const std::regex hash(R"(\$argon2id\$[^"]*)");
        ASSERT_TRUE(page.has_value()) << page.error().message;
        for (const auto& event : page->events) {
            lines.push_back(base::json::serialize(
                base::json::object{{"stream", event.stream},
                                   {"type", event.type},
                                   {"data", std::regex_replace(event.data, hash, "<hash>")},
                                   {"metadata", event.metadata}}));
        }
    }
    std::vector<std::string> log() {
        std::vector<std::string> lines;
        add_lines(engine_.run(store_->read_all({}, forwards, 1'000)), lines);
        return lines;
    }
    void add_streams_of(const std::string& key, std::vector<std::string>& lines) {
        for (const std::string& stream : {checkpoint_stream(key), parked_stream(key)}) {
            add_lines(engine_.run(store_->read_stream(stream, {}, forwards, 1'000)), lines);
        }
    }
    // A store that holds what the file says.
    void load(const char* name) {
        store_ = eventstore::make_memory_store(clock_);
        for (const std::string& line : read_lines(golden(name))) {
            const auto event = base::parse_json(line)->as_object();
            const auto text = [&](const char* key) {
                return std::string(event.at(key).as_string());
            };
            std::vector<eventstore::stream_write> writes(1);
            writes[0].stream = text("stream");
            writes[0].events.push_back({.id = base::uuid::make_random(random_),
                                        .type = text("type"),
                                        .data = text("data"),
                                        .metadata = text("metadata")});
            ASSERT_TRUE(engine_.run(store_->append(std::move(writes)))) << line;
        }
    }

    base::manual_clock clock_{base::utc_time(std::chrono::hours(500'000))};
    base::seeded_random random_{7};
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    accounts::password_hasher hasher_{
        {.memory_bytes = 8192, .passes = 1, .at_once = 1, .queue_max = 64}};
    runtime::engine engine_{{}};
    std::unique_ptr<user_directory> users_;
    std::vector<std::string> hidden_;
};

TEST_F(golden_streams, users_are_written_as_by_the_released_version) {
    live_of_users();
    expect_golden(golden("users.jsonl"), log());
}

TEST_F(golden_streams, users_are_read_as_they_were_released) {
    load("users.jsonl");
    open_users();
    const auto reader = users_->find("李明.r-1@x");
    ASSERT_TRUE(reader.has_value());
    EXPECT_EQ(reader->full_name, "Other");
    EXPECT_EQ(reader->groups, std::vector<std::string>{"readers"});
    EXPECT_EQ(reader->hash, "<hash>");
    EXPECT_FALSE(reader->disabled);
    EXPECT_TRUE(users_->find("admin")->as_principal().has_role("$admins"));
    EXPECT_FALSE(users_->find("gone"));
}

TEST_F(golden_streams, groups_are_written_as_by_the_released_version) {
    live_of_groups();
    keep("s-1::g", false);
    keep("$all::types", true);
    auto lines = hidden_;
    std::ranges::move(log(), std::back_inserter(lines));
    expect_golden(golden("groups.jsonl"), lines);
}

TEST_F(golden_streams, groups_are_read_as_they_were_released) {
    load("groups.jsonl");
    group_registry registry({*store_, clock_, random_}, engine_.executor());
    ASSERT_TRUE(engine_.run(registry.start()));
    for (const auto& [key, strategy] :
         {std::pair{"s-1::g", consumer_strategy::round_robin},
          std::pair{"s-文::g::2", consumer_strategy::pinned},
          std::pair{"$all::streams", consumer_strategy::pinned_by_correlation},
          std::pair{"$all::types", consumer_strategy::dispatch_to_single}}) {
        const auto found = registry.find(key);
        ASSERT_TRUE(found) << key;
        EXPECT_EQ((*found)->definition().settings, unusual_settings(strategy)) << key;
    }
    EXPECT_EQ((*registry.find("s-文::g::2"))->definition().start,
              (group_start{group_start::kind::place, 7}));
    const auto filter = (*registry.find("$all::types"))->definition().filter;
    ASSERT_TRUE(filter.has_value());
    EXPECT_EQ(filter->type_expression, "^A.*\\d$");
    EXPECT_FALSE(registry.find("s-9::gone"));
    engine_.run(registry.stop());
    for (const auto& [key, of_all] : {std::pair{"s-1::g", false}, std::pair{"$all::types", true}}) {
        const auto state =
            engine_.run(group_storage({*store_, clock_, random_}, key, of_all).load());
        ASSERT_TRUE(state) << key;
        EXPECT_EQ(state->checkpoint, 700U) << key;
        EXPECT_EQ(state->parked_from, 1U) << key;
        EXPECT_EQ(state->parked_end, 2U) << key;
    }
}

} // namespace
} // namespace immortal::esdb
