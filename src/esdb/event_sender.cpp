#include "esdb/event_sender.hpp"

#include "esdb/event_messages.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/streams.pb.h"

#include <algorithm>
#include <map>

namespace immortal::esdb {

namespace {

constexpr std::string_view link_type = "$>";

bool is_link(const eventstore::recorded_event& event) {
    return event.type == link_type;
}

} // namespace

awaitable<base::result<std::vector<eventstore::resolved_event>>>
event_sender::resolve(std::vector<eventstore::recorded_event> events) {
    if (!plan_.resolve_links || std::ranges::none_of(events, is_link)) {
        std::vector<eventstore::resolved_event> same;
        same.reserve(events.size());
        for (auto& event : events) {
            same.push_back({std::move(event), std::nullopt});
        }
        co_return same;
    }
    auto resolved = co_await context_.store.resolve_links(std::move(events));
    if (!resolved) {
        co_return base::fail(std::move(resolved.error()));
    }
    std::map<std::string, bool> allowed; // by the target's stream
    for (auto& one : *resolved) {
        if (!one.link || !one.event) {
            continue;
        }
        const auto [known, is_new] = allowed.try_emplace(one.event->stream, false);
        if (is_new) {
            const auto may = co_await context_.rules.may_access(call_.caller(), stream_right::read,
                                                                one.event->stream);
            known->second = may.has_value();
        }
        if (!known->second) {
            one.event.reset();
        }
    }
    co_return std::move(*resolved);
}

awaitable<base::result<bool>> event_sender::send(std::vector<eventstore::recorded_event> events,
                                                 more then) {
    auto resolved = co_await resolve(std::move(events));
    if (!resolved) {
        co_return base::fail(std::move(resolved.error()));
    }
    for (std::size_t i = 0; i < resolved->size(); ++i) {
        ::event_store::client::streams::ReadResp message;
        write_resolved(std::move((*resolved)[i]), plan_.form, *message.mutable_event());
        const bool last = i + 1 == resolved->size();
        if (!co_await esdb::send(call_, message, last ? then : more::follows)) {
            co_return false;
        }
    }
    co_return true;
}

} // namespace immortal::esdb
