#include "esdb/access_control.hpp"

#include "base/log.hpp"
#include "esdb/access.hpp"
#include "esdb/caller_ledger.hpp"
#include "esdb/reserved_streams.hpp"

#include <atomic>
#include <limits>
#include <optional>

namespace immortal::esdb {
namespace {

using base::errc;
using base::fail;

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
        co_return co_await users_.authenticate(std::move(*given), address_of_peer(headers.peer));
    }

    awaitable<base::status> may_access(principal who, stream_right right,
                                       std::string stream) override {
        stream_needs needs;
        needs.push_back({std::move(stream), right});
        return may_access_each(std::move(who), std::move(needs));
    }

    awaitable<base::status> may_access_each(principal who, stream_needs needs) override {
        if (who.has_role(admins_group)) {
            co_return base::status{};
        }
        std::optional<default_access> defaults; // read once for all streams
        std::size_t number = 0;
        for (const stream_need& need : needs) {
            co_await take_turns(++number);
            auto allowed = co_await judge(who, need, defaults);
            if (!allowed) {
                allowed.error().field = need.stream;
                co_return allowed;
            }
        }
        co_return base::status{};
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
    // Of somebody who is no administrator. What it is given outlives it; `defaults` are read if
    // they are needed and not there.
    awaitable<base::status> judge(const principal& who, const stream_need& need,
                                  std::optional<default_access>& defaults) {
        if (!is_let_in(who)) {
            co_return denied();
        }
        const access_target target = access_target_of(need.stream, need.right);
        if (changes(target.right) && is_reserved(target.stream)) {
            co_return denied(); // whatever an access list says
        }
        auto info = co_await store_.info(target.stream);
        if (!info) {
            co_return fail(std::move(info.error()));
        }
        if (!defaults) {
            auto lists = co_await default_lists();
            if (!lists) {
                co_return fail(std::move(lists.error()));
            }
            defaults = std::move(*lists);
        }
        const stream_access acl =
            info->metadata ? eventlog::metadata_of(*info->metadata).access : stream_access{};
        co_return may(who, target, acl, *defaults) ? base::status{} : denied();
    }

    [[nodiscard]] bool is_let_in(const principal& who) const {
        return !who.anonymous() || settings_.anonymous_streams;
    }
    static base::status denied() { return fail(errc::forbidden, "Access Denied"); }

    // What the last event of `$settings` says; the built-in lists if it is deleted, or if any part
    // of it is not understood.
    awaitable<base::result<default_access>> default_lists() {
        const auto page = co_await store_.read_stream(std::string(settings_stream), newest,
                                                      eventstore::direction::backwards, 1);
        if (!page && page.error().code != errc::deleted) {
            co_return fail(page.error());
        }
        if (!page || page->events.empty()) {
            if (!page || page->last) {
                complain(newest, "they are deleted");
            }
            co_return built_in_access();
        }
        const eventlog::recorded_event& last = page->events.front();
        if (const auto understood = check_settings(last.data); !understood) {
            complain(last.revision, understood.error().message);
            co_return built_in_access();
        }
        co_return parse_default_access(last.data);
    }

    // Once for each state of the stream: this is asked at every call.
    void complain(base::revision which, const std::string& why) {
        if (complained_.exchange(which.value) != which.value) {
            base::log_error(
                "esdb",
                "the stream $settings cannot be used; the built-in access lists hold "
                "instead. Write the settings anew as an administrator, or, if the stream is "
                "tombstoned, give streams an $acl of their own",
                {{"stream", settings_stream}, {"why", why}});
        }
    }

    user_directory& users_;
    eventstore::event_store& store_;
    const access_settings settings_;
    std::atomic<std::uint64_t> complained_ = newest.value - 1; // no event has this number
};

} // namespace

std::unique_ptr<authorizer> make_access_control(user_directory& users,
                                                eventstore::event_store& store,
                                                access_settings settings) {
    return std::make_unique<access_control>(users, store, settings);
}

} // namespace immortal::esdb
