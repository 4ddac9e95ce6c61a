// For tests: a Redis, a source of truth, and processes ("nodes") that cache it.
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "cache/cache.hpp"
#include "cache/redis_process.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace immortal::cache::testing {

using std::chrono::seconds;

const inline base::log_identity some_log{*base::uuid::parse("11111111-2222-4333-8444-555555555555"),
                                         1};

inline entry make_entry(std::uint64_t position, std::string payload = "{}") {
    return {{position}, {position}, false, std::move(payload)};
}

// Polls until `condition` holds; fails the test after a minute.
inline ::testing::AssertionResult eventually(const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + seconds(60);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > give_up) {
            return ::testing::AssertionFailure() << "did not happen within a minute";
        }
        std::this_thread::sleep_for(milliseconds(2));
    }
    return ::testing::AssertionSuccess();
}

// What SQL would say.
class truth {
public:
    void set(const key& where, entry value) {
        const std::lock_guard lock(mutex_);
        values_[where.text()] = std::move(value);
    }
    [[nodiscard]] entry get(const key& where) {
        const std::lock_guard lock(mutex_);
        const auto it = values_.find(where.text());
        return it == values_.end() ? entry{{}, {}, true, {}} : it->second;
    }
    [[nodiscard]] loader loads(key where) {
        return [this, where](std::optional<base::position>) { return read(where); };
    }
    [[nodiscard]] int reads() const { return reads_; }

private:
    awaitable<base::result<entry>> read(key where) {
        ++reads_;
        co_return get(where);
    }
    std::mutex mutex_;
    std::map<std::string, entry> values_;
    std::atomic<int> reads_{0};
};

struct world {
    world() { engine.start(); }
    redis_process server;
    runtime::engine engine;
    base::system_clock clock;
    base::system_random random;
    base::metrics metrics;
    truth sql;
};

inline settings quick(std::string freshener, base::log_identity identity = some_log) {
    settings s;
    s.identity = identity;
    s.freshener = std::move(freshener);
    s.heartbeat = milliseconds(50);
    s.lease = milliseconds(2000);
    return s;
}

enum class hears : std::uint8_t { nothing, invalidations };

// One process. Started by the constructor, stopped by the destructor.
class node {
public:
    node(world& w, settings options, hears what = hears::nothing)
        : world_(w), client_(redis::make_client(w.engine.executor(), redis_settings(), w.metrics)),
          cache_(w.engine.executor(), client_.get(),
                 what == hears::invalidations
                     ? redis::make_subscriber(w.engine.executor(), redis_settings(),
                                              {std::string(invalidation_channel)})
                     : nullptr,
                 w.clock, w.random, w.metrics, std::move(options)) {
        cache_.start();
    }
    ~node() {
        world_.engine.run(cache_.stop());
        world_.engine.run(client_->stop());
    }
    node(const node&) = delete;
    node& operator=(const node&) = delete;

    // The value, which must be there.
    entry get(const key& where, std::optional<base::position> after = {}) {
        auto got = world_.engine.run(cache_.get_or_load(where, after, world_.sql.loads(where)));
        EXPECT_TRUE(got.has_value()) << (got ? "" : got.error().message);
        return got.value_or(entry{});
    }
    base::result<entry> get_with(const key& where, loader load,
                                 std::optional<base::position> after = {}) {
        return world_.engine.run(cache_.get_or_load(where, after, std::move(load)));
    }
    // As the projector does: first SQL, then the cache.
    void commit(const key& where, const entry& value) {
        world_.sql.set(where, value);
        freshen(where, value);
    }
    void freshen(const key& where, const entry& value) {
        world_.engine.run(cache_.freshen({fresh_entry{where, value}}));
    }
    redis::reply run(redis::command c) {
        auto answer = world_.engine.run(client_->run(std::move(c)));
        EXPECT_TRUE(answer.has_value()) << (answer ? "" : answer.error().message);
        return answer.value_or(redis::reply{});
    }
    [[nodiscard]] bool trusts_redis() const { return cache_.health().redis_trusted; }
    [[nodiscard]] layered_cache& cache() { return cache_; }
    [[nodiscard]] redis::client& client() { return *client_; }

private:
    [[nodiscard]] redis::settings redis_settings() const {
        redis::settings s;
        s.uri = world_.server.uri();
        return s;
    }
    world& world_;
    std::unique_ptr<redis::client> client_;
    layered_cache cache_;
};

} // namespace immortal::cache::testing
