#include "esdb/access_rule.hpp"

namespace immortal::esdb {

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
    co_return co_await rules.may_access_each(std::move(caller), std::move(needs));
}

} // namespace immortal::esdb
