// An append wakes the subscriptions whom it concerns, however many others wait.
#include "base/memory_file_system.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "eventlog/log.hpp"
#include "eventstore/embedded_store.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace immortal::eventstore {
namespace {

class subscription_wakeups_test : public testing::Test {
protected:
    struct waiting_reader {
        std::unique_ptr<subscription> from;
        std::future<base::result<subscription::batch>> next;
    };

    void SetUp() override {
        engine_.start();
        auto opened = eventlog::log::open({.folder = "/log", .free_space_min = 0}, disk_, clock_,
                                          random_, nullptr);
        log_ = std::move(opened.value());
        store_ = make_embedded_store(*log_, &metrics_);
    }
    void TearDown() override {
        for (waiting_reader& one : readers_) {
            one.from->cancel();
            EXPECT_FALSE(one.next.get());
        }
        readers_.clear();
        engine_.stop();
    }
    base::result<append_outcome> append(const std::string& stream, const std::string& type) {
        std::vector<stream_write> writes;
        writes.push_back(
            {stream,
             {},
             {{base::uuid::make_random(random_), type, "{}", "", eventlog::content::json}}});
        return engine_.run(store_->append(std::move(writes)));
    }
    // Has caught up, and waits from here on.
    void wait_for(std::unique_ptr<subscription> from) {
        ASSERT_TRUE(engine_.run(from->next(10)));
        auto next = boost::asio::co_spawn(boost::asio::make_strand(engine_.executor()),
                                          from->next(10), boost::asio::use_future);
        readers_.push_back({std::move(from), std::move(next)});
    }
    double wakeups() {
        return metrics_.make_counter("immortal_eventstore_wakeups_total", "").value();
    }

    base::metrics metrics_;
    base::memory_file_system disk_{7};
    base::system_clock clock_;
    base::system_random random_;
    runtime::engine engine_;
    std::unique_ptr<eventlog::log> log_;
    std::unique_ptr<event_store> store_;
    std::vector<waiting_reader> readers_;
};

TEST_F(subscription_wakeups_test, only_those_whom_an_append_concerns_are_woken) {
    for (int i = 0; i < 200; ++i) {
        const std::string n = std::to_string(i);
        wait_for(store_->subscribe_stream("idle-" + n, std::nullopt));
        wait_for(store_->subscribe_stream("$ce-idle" + n, std::nullopt));
        wait_for(store_->subscribe_stream("$et-Idle" + n, std::nullopt));
        wait_for(store_->subscribe_all(store_->head(), {.stream_prefixes = {"idle-"}}));
    }
    const auto busy = store_->subscribe_stream("busy-1", std::nullopt);
    constexpr std::size_t appends = 20;
    for (std::size_t i = 0; i < appends; ++i) {
        ASSERT_TRUE(append("busy-1", "Happened"));
    }
    for (std::size_t seen = 0; seen < appends;) {
        const auto batch = engine_.run(busy->next(100));
        ASSERT_TRUE(batch);
        seen += batch->events.size();
    }
    ASSERT_TRUE(append("busy-1", "Happened"));
    ASSERT_TRUE(engine_.run(busy->next(100)));
    EXPECT_LE(wakeups(), appends + 1.0);
    for (waiting_reader& one : readers_) {
        EXPECT_EQ(one.next.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    }
}

TEST_F(subscription_wakeups_test, one_that_ends_wakes_nobody_else) {
    for (int i = 0; i < 50; ++i) {
        wait_for(store_->subscribe_stream("idle-" + std::to_string(i), std::nullopt));
    }
    for (int i = 0; i < 49; ++i) {
        readers_.back().from->cancel();
        EXPECT_FALSE(readers_.back().next.get());
        readers_.pop_back();
    }
    EXPECT_EQ(readers_[0].next.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    EXPECT_EQ(wakeups(), 0.0);
}

} // namespace
} // namespace immortal::eventstore
