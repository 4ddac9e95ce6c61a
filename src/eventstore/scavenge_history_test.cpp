#include "base/golden_testing.hpp"
#include "base/memory_file_system.hpp"
#include "eventlog/scavenge_fixture.hpp"
#include "eventstore/scavenge_history.hpp"

#include <condition_variable>
#include <mutex>
#include <regex>

namespace immortal::eventstore {
namespace {

using eventlog::expected_revision;
using eventlog::recorded_event;
using eventlog::scavenge_state;

class scavenge_history_test : public eventlog::scavenge_fixture {
protected:
    void SetUp() override {
        disk.set_free_space(1u << 30u);
        settings.free_space_min = 1u << 20u;
        reopen();
    }
    void TearDown() override { history_.reset(); }
    void begin() {
        history_.reset();
        history_ = std::make_unique<scavenge_history>(
            *open_, random, scavenge_history::settings{std::chrono::milliseconds(5)});
    }
    // Waits for publications until the stream has so many events.
    std::vector<recorded_event> wait_for(const std::string& name, std::size_t count) {
        std::mutex mutex;
        std::condition_variable changed;
        const auto ticket = open_->add_listener([&](const eventlog::publication&) {
            const std::lock_guard lock(mutex);
            changed.notify_all();
        });
        std::unique_lock lock(mutex);
        const bool came = changed.wait_for(lock, std::chrono::seconds(30),
                                           [&] { return stream(name).size() >= count; });
        lock.unlock();
        open_->remove_listener(ticket);
        EXPECT_TRUE(came) << name;
        return stream(name);
    }
    void write_hidden() {
        write("s", 40);
        set_metadata("s", R"({"$maxCount":1})");
        write("t", 10);
    }

    std::unique_ptr<scavenge_history> history_;
};

TEST_F(scavenge_history_test, tells_of_every_scavenge_but_dry_runs) {
    begin();
    write_hidden();
    const auto dry = scavenge({.mode = eventlog::scavenge_mode::measure});
    const auto done = scavenge();
    EXPECT_EQ(done.events_removed, dry.events_removed);
    const auto told = wait_for("$scavenges-" + done.id, 2);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[0].type, "$scavengeStarted");
    EXPECT_EQ(told[1].type, "$scavengeCompleted");
    EXPECT_NE(told[1].data.find(R"("result":"Success")"), std::string::npos) << told[1].data;
    const auto links = stream("$scavenges");
    ASSERT_EQ(links.size(), 2u);
    EXPECT_EQ(links[0].data, "0@$scavenges-" + done.id);
    EXPECT_EQ(links[1].data, "1@$scavenges-" + done.id);
    EXPECT_TRUE(stream("$scavenges-" + dry.id).empty());
}

TEST_F(scavenge_history_test, an_interrupted_scavenge_is_closed_once) {
    ASSERT_TRUE(append("$scavenges-7", expected_revision::any(),
                       {{eventlog::id_of(1), "$scavengeStarted", "{}", ""}}));
    ASSERT_TRUE(append("$scavenges", expected_revision::any(),
                       {{eventlog::id_of(2), "$>", "0@$scavenges-7", ""}}));
    begin();
    const auto told = wait_for("$scavenges-7", 2);
    EXPECT_NE(told.back().data.find("Interrupted"), std::string::npos);
    begin();
    begin();
    EXPECT_EQ(stream("$scavenges-7").size(), 2u);
}

// A start needs no write: what the disk has no room for now is written when it has.
TEST_F(scavenge_history_test, what_a_full_disk_refuses_is_written_when_there_is_space) {
    ASSERT_TRUE(append("$scavenges-7", expected_revision::any(),
                       {{eventlog::id_of(1), "$scavengeStarted", "{}", ""}}));
    ASSERT_TRUE(append("$scavenges", expected_revision::any(),
                       {{eventlog::id_of(2), "$>", "0@$scavenges-7", ""}}));
    write_hidden();
    disk.set_free_space(100);
    reopen();
    EXPECT_EQ(open_->state(), eventlog::log_state::disk_full) << "it is seen without a write";
    begin();
    EXPECT_FALSE(append("s", expected_revision::any(), {eventlog::event_of(900)}));
    EXPECT_EQ(open_->state(), eventlog::log_state::disk_full);
    EXPECT_EQ(stream("$scavenges-7").size(), 1u);
    EXPECT_EQ(stream("t").size(), 10u) << "reads go on";
    const auto done = scavenge();
    EXPECT_EQ(done.state, scavenge_state::failed);
    disk.set_free_space(1u << 30u);
    EXPECT_NE(wait_for("$scavenges-7", 2).back().data.find("Interrupted"), std::string::npos);
    const auto told = wait_for("$scavenges-" + done.id, 2);
    EXPECT_NE(told.back().data.find("too little space"), std::string::npos) << told.back().data;
    EXPECT_EQ(stream("$scavenges").back().data, "1@$scavenges-" + done.id);
}

// The records as the released version writes them; ids are of chance.
TEST_F(scavenge_history_test, is_written_as_by_the_released_version) {
    ASSERT_TRUE(append("$scavenges-7", expected_revision::any(),
                       {{eventlog::id_of(1), "$scavengeStarted", "{}", ""}}));
    ASSERT_TRUE(append("$scavenges", expected_revision::any(),
                       {{eventlog::id_of(2), "$>", "0@$scavenges-7", ""}}));
    begin();
    std::vector<std::string> lines;
    const auto note = [&](const recorded_event& event, const std::string& id) {
        const std::string text = base::json::serialize(base::json::object{
            {"stream", event.stream}, {"type", event.type}, {"data", event.data}});
        lines.push_back(std::regex_replace(text, std::regex(id), "<id>"));
    };
    note(wait_for("$scavenges-7", 2).back(), "\\b7\\b");
    write_hidden();
    const auto done = scavenge({.threads = 2});
    for (const auto& event : wait_for("$scavenges-" + done.id, 2)) {
        note(event, done.id);
    }
    for (const auto& event : wait_for("$scavenges", 4)) {
        note(event, done.id);
    }
    base::testing::expect_golden(IMMORTAL_GOLDEN "/scavenges.jsonl", lines);
}

TEST_F(scavenge_history_test, its_end_stops_the_scavenge_and_tells_so) {
    begin();
    write_hidden();
    std::promise<void> hold;
    auto held = hold.get_future().share();
    const auto id =
        open_->scavenges().start({}, [held](const eventlog::scavenge_status&) { held.wait(); });
    ASSERT_TRUE(id);
    ASSERT_TRUE(open_->scavenges().stop(*id));
    hold.set_value();
    history_.reset();
    const auto told = stream("$scavenges-" + *id);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_NE(told.back().data.find("Stopped"), std::string::npos) << told.back().data;
}

} // namespace
} // namespace immortal::eventstore
