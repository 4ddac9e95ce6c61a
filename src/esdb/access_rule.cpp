#include "esdb/access_rule.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace immortal::esdb {

namespace {
// An append may name as many streams as it has events, and a store in memory answers at once.
constexpr std::size_t streams_in_turn = 16;
} // namespace

awaitable<base::status> may_call(authorizer& rules, access_rule rule, principal caller) {
    using kind = access_rule::kind;
    switch (rule.what) {
    case kind::everybody:
        co_return base::status{};
    case kind::login:
        co_return caller.anonymous() ? base::fail(base::errc::forbidden, "Access Denied")
                                     : base::status{};
    case kind::operation:
        co_return co_await rules.may_operate(std::move(caller), rule.needed);
    case kind::streams:
    case kind::streams_inside:
        co_return co_await rules.may_use_streams(std::move(caller));
    case kind::unstated:
        break;
    }
    co_return base::fail(base::errc::forbidden, "Access Denied");
}

awaitable<base::status> has_rights(authorizer& rules, principal caller, stream_needs needs) {
    std::size_t looked_at = 0;
    for (const stream_need& need : needs) {
        if (++looked_at % streams_in_turn == 0) { // the others get their turn
            co_await boost::asio::post(co_await boost::asio::this_coro::executor,
                                       boost::asio::use_awaitable);
        }
        auto allowed = co_await rules.may_access(caller, need.right, need.stream);
        if (!allowed) {
            allowed.error().field = need.stream;
            co_return allowed;
        }
    }
    co_return base::status{};
}

} // namespace immortal::esdb
