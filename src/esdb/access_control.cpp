#include "esdb/access_control.hpp"

#include "esdb/access.hpp"

#include <limits>

namespace immortal::esdb {
namespace {

using base::errc;
using base::fail;

constexpr std::string_view settings_stream = "$settings";
constexpr base::revision newest{std::numeric_limits<std::uint64_t>::max()};

class access_control final : public authorizer {
public:
    access_control(user_directory& users, eventstore::event_store& store, access_settings settings)
        : users_(users), store_(store), settings_(settings) {}

    awaitable<base::result<principal>> authenticate(call_headers headers) override {
        if (headers.authorization.empty()) {
            const auto user = users_.find(headers.certificate_name);
            co_return user && !user->disabled ? user->as_principal() : principal{};
        }
        auto given = parse_basic_credentials(headers.authorization);
        if (!given) {
            co_return fail(std::move(given.error()));
        }
        co_return co_await users_.authenticate(std::move(*given), source_of(headers.peer));
    }

    awaitable<base::status> may_access(principal who, stream_right right,
                                       std::string stream) override {
        if (who.has_role(admins_group)) {
            co_return base::status{};
        }
        if (!is_let_in(who)) {
            co_return denied();
        }
        const access_target target = access_target_of(stream, right);
        auto info = co_await store_.info(target.stream);
        if (!info) {
            co_return fail(std::move(info.error()));
        }
        auto settings = co_await store_.read_stream(std::string(settings_stream), newest,
                                                    eventstore::direction::backwards, 1);
        if (!settings) {
            co_return fail(std::move(settings.error()));
        }
        const stream_access acl =
            info->metadata ? eventlog::metadata_of(*info->metadata).access : stream_access{};
        const default_access defaults = settings->events.empty()
                                            ? built_in_access()
                                            : parse_default_access(settings->events.front().data);
        co_return may(who, target, acl, defaults) ? base::status{} : denied();
    }

    awaitable<base::status> may_use_streams(principal who) override {
        co_return is_let_in(who) ? base::status{} : denied();
    }

    awaitable<base::status> may_operate(principal who, operation what) override {
        const bool operators_too = what != operation::users;
        const bool may = who.has_role(admins_group) ||
                         (operators_too && who.has_role(operators_group)) ||
                         (what == operation::statistics && !who.anonymous());
        co_return may ? base::status{} : denied();
    }

private:
    [[nodiscard]] bool is_let_in(const principal& who) const {
        return !who.anonymous() || settings_.anonymous_streams;
    }
    static base::status denied() { return fail(errc::forbidden, "Access Denied"); }

    user_directory& users_;
    eventstore::event_store& store_;
    const access_settings settings_;
};

} // namespace

std::unique_ptr<authorizer> make_access_control(user_directory& users,
                                                eventstore::event_store& store,
                                                access_settings settings) {
    return std::make_unique<access_control>(users, store, settings);
}

} // namespace immortal::esdb
