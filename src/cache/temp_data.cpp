#include "cache/temp_data.hpp"

#include "base/assert.hpp"

namespace immortal::cache {

using boost::asio::awaitable;

namespace {

base::result<std::optional<std::string>> value_of(base::result<redis::reply> answer) {
    if (!answer) {
        return base::fail(answer.error());
    }
    if (answer->is_error()) {
        return base::fail(base::errc::unavailable, "The short-lived data cannot be read now.");
    }
    return answer->is_nil() ? std::optional<std::string>{} : std::move(answer->text);
}

} // namespace

awaitable<base::status> temp_data::put(std::string name, std::string value, milliseconds ttl) {
    IMMORTAL_ASSERT(ttl.count() > 0);
    redis::command set{"SET", keys::temp_data(name).text(), std::move(value), "PX",
                       std::to_string(ttl.count())};
    const auto answer = co_await redis_->run(std::move(set));
    if (!answer) {
        co_return base::fail(answer.error());
    }
    if (answer->is_error()) {
        co_return base::fail(base::errc::unavailable, "The short-lived data cannot be kept now.");
    }
    co_return base::status{};
}

awaitable<base::result<std::optional<std::string>>> temp_data::get(std::string name) {
    redis::command get{"GET", keys::temp_data(name).text()};
    co_return value_of(co_await redis_->run(std::move(get)));
}

awaitable<base::result<std::optional<std::string>>> temp_data::take(std::string name) {
    redis::command take{"GETDEL", keys::temp_data(name).text()};
    co_return value_of(co_await redis_->run(std::move(take)));
}

} // namespace immortal::cache
