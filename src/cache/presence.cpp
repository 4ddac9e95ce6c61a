#include "cache/presence.hpp"

#include "base/assert.hpp"
#include "cache/cache_class.hpp"

namespace immortal::cache {

namespace {

// keys: online:players, online:<id>; values: id, ttl ms
const redis::script& heartbeat_script() {
    static const redis::script text(R"lua(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('SET', KEYS[2], now, 'PX', ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return 1
)lua");
    return text;
}

// keys: online:players; values: ttl ms, limit (0: count only)
const redis::script& list_script() {
    static const redis::script text(R"lua(
local t = redis.call('TIME')
local least = '(' .. (t[1] * 1000 + math.floor(t[2] / 1000) - ARGV[1])
if ARGV[2] == '0' then return redis.call('ZCOUNT', KEYS[1], least, '+inf') end
return redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', least, 'LIMIT', 0, ARGV[2])
)lua");
    return text;
}

std::string ttl_text() {
    return std::to_string(classes::online_status.ttl.count());
}

base::result<redis::reply> checked(base::result<redis::reply> answer) {
    if (answer && answer->is_error()) {
        return base::fail(base::errc::unavailable, "Presence is not known right now.");
    }
    return answer;
}

base::status done(const base::result<redis::reply>& answer) {
    return answer ? base::status{} : base::fail(answer.error());
}

} // namespace

awaitable<base::status> presence::heartbeat(base::uuid player) {
    std::vector<std::string> names{keys::online_players().text(),
                                   keys::online_player(player).text()};
    std::vector<std::string> values{player.text(), ttl_text()};
    co_return done(
        checked(co_await redis_->eval(heartbeat_script(), std::move(names), std::move(values))));
}

awaitable<base::status> presence::leave(base::uuid player) {
    std::vector<redis::command> commands{{"ZREM", keys::online_players().text(), player.text()},
                                         {"UNLINK", keys::online_player(player).text()}};
    const auto answers = co_await redis_->run_all(std::move(commands));
    co_return answers ? base::status{} : base::fail(answers.error());
}

awaitable<base::result<bool>> presence::online(base::uuid player) {
    redis::command question{"EXISTS", keys::online_player(player).text()};
    const auto answer = checked(co_await redis_->run(std::move(question)));
    if (!answer) {
        co_return base::fail(answer.error());
    }
    co_return answer->integer == 1;
}

awaitable<base::result<std::uint64_t>> presence::count() {
    std::vector<std::string> names{keys::online_players().text()};
    std::vector<std::string> values{ttl_text(), "0"};
    const auto answer =
        checked(co_await redis_->eval(list_script(), std::move(names), std::move(values)));
    if (!answer) {
        co_return base::fail(answer.error());
    }
    co_return static_cast<std::uint64_t>(answer->integer);
}

awaitable<base::result<std::vector<base::uuid>>> presence::list(std::uint32_t limit) {
    IMMORTAL_ASSERT(limit >= 1 && limit <= 1'000);
    std::vector<std::string> names{keys::online_players().text()};
    std::vector<std::string> values{ttl_text(), std::to_string(limit)};
    const auto answer =
        checked(co_await redis_->eval(list_script(), std::move(names), std::move(values)));
    if (!answer) {
        co_return base::fail(answer.error());
    }
    std::vector<base::uuid> out;
    for (const redis::reply& item : answer->items) {
        if (const auto id = base::uuid::parse(item.text)) {
            out.push_back(*id);
        }
    }
    co_return out;
}

} // namespace immortal::cache
