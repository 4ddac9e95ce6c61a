// The registry of groups over a memory and an embedded store, and a small language for its tests.
#pragma once

#include "base/file.hpp"
#include "esdb/failing_store.hpp"
#include "esdb/group_registry.hpp"
#include "eventlog/log.hpp"
#include "eventlog/stream_metadata.hpp"
#include "eventstore/embedded_store.hpp"
#include "eventstore/memory_store.hpp"
#include "runtime/deadline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>

namespace immortal::esdb {

using namespace std::chrono_literals;
using base::errc;
using eventlog::expected_revision;
using eventstore::direction;
using numbers = std::vector<std::uint64_t>;

// A store that can be closed and opened again; what "kill" leaves is what is on the disk.
class embedded_folder {
public:
    explicit embedded_folder(base::clock& clock) : clock_(clock) {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "immortal-groups-XXXXXX").string();
        folder_ = mkdtemp(pattern.data());
        open();
    }
    ~embedded_folder() {
        close();
        std::filesystem::remove_all(folder_);
    }
    void open() {
        auto opened = eventlog::log::open({.folder = folder_ + "/log", .free_space_min = 0}, files_,
                                          clock_, random_, nullptr);
        EXPECT_TRUE(opened) << opened.error().message;
        log_ = std::move(*opened);
        store_ = eventstore::make_embedded_store(*log_);
    }
    void close() {
        store_.reset();
        log_.reset();
    }
    eventstore::event_store& store() { return *store_; }

private:
    base::clock& clock_;
    base::posix_file_system files_;
    base::system_random random_;
    std::string folder_;
    std::unique_ptr<eventlog::log> log_;
    std::unique_ptr<eventstore::event_store> store_;
};

enum class kind : std::uint8_t { memory, embedded };

class group_registry_test : public testing::TestWithParam<kind> {
protected:
    void SetUp() override {
        engine_.start();
        if (GetParam() == kind::memory) {
            memory_ = eventstore::make_memory_store(clock_);
        } else {
            folder_ = std::make_unique<embedded_folder>(clock_);
        }
        open();
    }
    void TearDown() override {
        close();
        engine_.stop();
    }
    eventstore::event_store& store() { return memory_ ? *memory_ : folder_->store(); }
    void open() {
        failing_ = std::make_unique<failing_store>(store());
        registry_ = std::make_unique<group_registry>(
            group_services{*failing_, clock_, random_, group_memory_}, engine_.executor());
        const auto started = engine_.run(registry_->start());
        ASSERT_TRUE(started) << started.error().message;
    }
    void close() {
        consumers_.clear();
        engine_.run(registry_->stop());
        registry_.reset();
    }
    // A new process on what is in the store.
    void reopen() {
        close();
        if (folder_) {
            folder_->close();
            folder_->open();
        }
        open();
    }

    void write(std::string stream, std::uint64_t count, std::string type = "Happened") {
        std::vector<eventstore::new_event> events;
        for (std::uint64_t i = 0; i < count; ++i) {
            events.push_back({base::uuid::make_random(random_), type, "{}", {}});
        }
        std::vector<eventstore::stream_write> writes;
        writes.push_back({std::move(stream), expected_revision::any(), std::move(events)});
        const auto written = engine_.run(store().append(std::move(writes)));
        ASSERT_TRUE(written) << written.error().message;
    }
    eventstore::stream_page read(const std::string& stream) {
        auto page = engine_.run(store().read_stream(stream, {0}, direction::forwards, 1000));
        EXPECT_TRUE(page) << page.error().message;
        return page.value_or(eventstore::stream_page{});
    }
    void plant(std::string stream, eventstore::stream_write::action what) {
        std::vector<eventstore::stream_write> writes;
        writes.push_back({std::move(stream), expected_revision::any(), {}, what});
        ASSERT_TRUE(engine_.run(store().append(std::move(writes))));
    }
    void plant_data(std::string stream, std::string data) {
        std::vector<eventstore::stream_write> writes;
        writes.push_back({std::move(stream),
                          expected_revision::any(),
                          {{base::uuid::make_random(random_), "Rubbish", std::move(data), {}}}});
        ASSERT_TRUE(engine_.run(store().append(std::move(writes))));
    }
    // The retries of one group, as the running one has them and as the list says.
    int running_retries(const std::string& stream) {
        const auto found = registry_->find(stream + "::g");
        return found ? (*found)->definition().settings.max_retry_count : -1;
    }
    int listed_retries(const std::string& stream) {
        const auto page = read(group_config_stream);
        const auto list = parse_config(page.events.back().data).value();
        const auto found = std::ranges::find(list, stream, &group_definition::stream);
        return found == list.end() ? -1 : found->settings.max_retry_count;
    }
    static group_definition define(std::string stream, group_settings settings = {}) {
        return {.stream = std::move(stream), .group = "g", .settings = settings};
    }
    base::status create(group_definition definition) {
        return engine_.run(registry_->create(std::move(definition), "tester"));
    }
    std::shared_ptr<group_runner> runner(const std::string& stream) {
        auto found = registry_->find(stream + "::g");
        EXPECT_TRUE(found);
        return found.value_or(nullptr);
    }
    std::shared_ptr<group_consumer> connect(const std::string& stream, std::size_t slots = 10) {
        auto made = runner(stream)->connect(slots, {"here", "me", "test"});
        EXPECT_TRUE(made);
        return made.value_or(nullptr);
    }
    // The next `count` messages of a consumer; revisions. Fails the test when they do not come.
    std::vector<group_message> take(group_consumer& from, std::size_t count) {
        std::vector<group_message> out;
        while (out.size() < count) {
            auto message = engine_.run(runtime::with_deadline(next_of(from), 60s));
            EXPECT_TRUE(message) << "message " << out.size() << " of " << count;
            if (!message) {
                break;
            }
            out.push_back(std::move(*message));
        }
        return out;
    }
    static awaitable<base::result<group_message>> next_of(group_consumer& from) {
        auto message = co_await from.next();
        if (!message) {
            co_return base::fail(errc::cancelled, "dropped");
        }
        co_return std::move(*message);
    }
    static awaitable<base::result<bool>> ended(group_consumer& which) {
        co_await which.end();
        co_return true;
    }
    static numbers revisions(const std::vector<group_message>& messages) {
        numbers out;
        for (const auto& one : messages) {
            out.push_back(one.original().revision.value);
        }
        return out;
    }
    void ack(group_consumer& from, const std::vector<group_message>& messages,
             const std::string& stream) {
        for (const auto& one : messages) {
            runner(stream)->ack(from, std::span(&one.id, 1));
        }
    }
    void nack(group_consumer& from, const group_message& message, nack_action action,
              const std::string& stream) {
        runner(stream)->nack(from, std::span(&message.id, 1), action, "because");
    }
    template <typename Condition>
    void eventually(Condition condition, const char* what) {
        for (int i = 0; i < 6000; ++i) {
            if (condition()) {
                return;
            }
            engine_.run(pause());
        }
        FAIL() << "waited in vain for " << what;
    }
    static awaitable<void> pause() { (void)co_await runtime::wait_for(10ms); }

    base::manual_clock clock_{base::utc_time(std::chrono::hours(500'000))};
    base::seeded_random random_{7};
    runtime::engine engine_{{}};
    std::unique_ptr<eventstore::event_store> memory_;
    std::unique_ptr<embedded_folder> folder_;
    std::unique_ptr<failing_store> failing_;
    group_memory* group_memory_ = nullptr;
    std::unique_ptr<group_registry> registry_;
    std::vector<std::shared_ptr<group_consumer>> consumers_;
};

inline std::string kind_name(const testing::TestParamInfo<kind>& info) {
    return info.param == kind::memory ? "memory" : "embedded";
}

} // namespace immortal::esdb
