#include "cache/lock.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "cache/cache_class.hpp"
#include "runtime/async_event.hpp"
#include "runtime/deadline.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>

namespace immortal::cache {

namespace {

// keys: lock, fence; values: token, ttl ms, life of the fence in ms; reply: fence as text, or ""
const redis::script& acquire_script() {
    static const redis::script text(R"lua(
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return '' end
local t = redis.call('TIME')
local last = tonumber(redis.pcall('GET', KEYS[2]) or '0') or 0
local fence = string.format('%.0f', math.max(t[1] * 1000000 + t[2], last + 1))
redis.call('SET', KEYS[2], fence, 'PX', ARGV[3])
return fence
)lua");
    return text;
}

const redis::script& extend_script() {
    static const redis::script text(R"lua(
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
)lua");
    return text;
}

const redis::script& release_script() {
    static const redis::script text(R"lua(
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
)lua");
    return text;
}

constexpr const char* fence_life_ms = "604800000"; // a week; Redis' clock takes over afterwards
constexpr milliseconds retry_min{20};
constexpr std::uint64_t retry_spread_ms = 60;

base::error taken_error() {
    return {base::errc::conflict, "Somebody else is doing this right now.", "locked"};
}

} // namespace

struct held_lock::state {
    boost::asio::any_io_executor executor;
    redis::client& redis;
    const base::clock& clock;
    std::string key;
    std::string token;
    milliseconds ttl;
    std::uint64_t fence;
    std::atomic<std::int64_t> until; // steady ticks
    std::atomic<bool> lost = false;
    std::atomic<bool> released = false;
    runtime::async_event ended;

    bool held() const {
        return !lost && !released && clock.steady_now().time_since_epoch().count() < until;
    }
    void end() {
        released = true;
        ended.notify_all();
    }
    static awaitable<base::status> extend(std::shared_ptr<state> self);
    static awaitable<void> keep(std::shared_ptr<state> self, std::function<void()> when_lost);
};

held_lock::held_lock(std::shared_ptr<state> state) : state_(std::move(state)) {}

held_lock::~held_lock() {
    state_->end();
}

std::uint64_t held_lock::fence() const noexcept {
    return state_->fence;
}

bool held_lock::held() const {
    return state_->held();
}

awaitable<base::status> held_lock::extend() {
    return state::extend(state_);
}

awaitable<base::status> held_lock::state::extend(std::shared_ptr<state> self) {
    if (!self->held()) {
        self->lost = true;
        co_return base::fail(taken_error());
    }
    // Counted from before the question, so that it ends here no later than in Redis.
    const base::steady_time asked = self->clock.steady_now();
    std::vector<std::string> keys{self->key};
    std::vector<std::string> values{self->token, std::to_string(self->ttl.count())};
    const auto answer =
        co_await self->redis.eval(extend_script(), std::move(keys), std::move(values));
    if (!answer) {
        co_return base::fail(answer.error());
    }
    if (answer->integer != 1) {
        self->lost = true;
        co_return base::fail(taken_error());
    }
    self->until = (asked + self->ttl).time_since_epoch().count();
    co_return base::status{};
}

void held_lock::keep(std::function<void()> lost) {
    boost::asio::co_spawn(state_->executor, state::keep(state_, std::move(lost)),
                          boost::asio::detached);
}

awaitable<void> held_lock::state::keep(std::shared_ptr<state> self,
                                       std::function<void()> when_lost) {
    const milliseconds pause = std::max(self->ttl / 3, milliseconds(1));
    while (!co_await self->ended.wait(0, pause)) {
        static_cast<void>(co_await extend(self));
        if (self->released) {
            co_return;
        }
        if (!self->held()) {
            self->lost = true;
            base::log_warning("cache", "a lock was lost", {{"key", self->key}});
            when_lost();
            co_return;
        }
    }
}

awaitable<base::status> held_lock::release() {
    const std::shared_ptr<state> self = state_;
    self->end();
    std::vector<std::string> keys{self->key};
    std::vector<std::string> values{self->token};
    const auto answer =
        co_await self->redis.eval(release_script(), std::move(keys), std::move(values));
    if (!answer) {
        co_return base::fail(answer.error());
    }
    co_return answer->integer == 1 ? base::status{} : base::fail(taken_error());
}

lock_manager::lock_manager(boost::asio::any_io_executor executor, redis::client& redis,
                           const base::clock& clock, base::random_source& random)
    : executor_(std::move(executor)), redis_(&redis), clock_(&clock), random_(&random) {}

awaitable<base::result<std::unique_ptr<held_lock>>>
lock_manager::acquire(std::string resource, milliseconds ttl, milliseconds wait) {
    IMMORTAL_ASSERT(ttl.count() > 0);
    const std::string name = keys::lock(resource).text();
    const std::string token = base::random_hex(*random_, 16);
    const base::steady_time give_up = clock_->steady_now() + wait;
    for (;;) {
        const base::steady_time asked = clock_->steady_now();
        std::vector<std::string> names{name, "fence:{" + name + "}"};
        std::vector<std::string> values{token, std::to_string(ttl.count()), fence_life_ms};
        const auto answer =
            co_await redis_->eval(acquire_script(), std::move(names), std::move(values));
        if (!answer) {
            co_return base::fail(answer.error());
        }
        if (answer->is_error()) {
            co_return base::fail(base::errc::unavailable, "The lock service refused the request.");
        }
        if (!answer->text.empty()) {
            const std::uint64_t fence = std::strtoull(answer->text.c_str(), nullptr, 10);
            co_return std::unique_ptr<held_lock>(new held_lock(std::make_shared<held_lock::state>(
                executor_, *redis_, *clock_, name, token, ttl, fence,
                (asked + ttl).time_since_epoch().count())));
        }
        const milliseconds pause = retry_min + milliseconds(random_->next() % retry_spread_ms);
        if (clock_->steady_now() + pause > give_up || !co_await runtime::wait_for(pause)) {
            co_return base::fail(taken_error());
        }
    }
}

} // namespace immortal::cache
