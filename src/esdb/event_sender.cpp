#include "esdb/event_sender.hpp"

#include "esdb/typed_call.hpp"
#include "esproto/wire/streams.pb.h"

#include <algorithm>
#include <iterator>
#include <map>

namespace immortal::esdb {

namespace {

constexpr std::string_view link_type = "$>";

// Links whose targets are not known yet that are followed at once: each may lead to an event of the
// largest size.
constexpr std::size_t unknown_links_max = 4;

bool is_link(const eventstore::recorded_event& event) {
    return event.type == link_type;
}

} // namespace

awaitable<base::result<std::vector<eventstore::resolved_event>>>
event_sender::resolve(std::vector<eventstore::recorded_event> events) {
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

awaitable<bool> event_sender::send_resolved(std::vector<eventstore::resolved_event> events,
                                            more then) {
    for (std::size_t i = 0; i < events.size(); ++i) {
        ::event_store::client::streams::ReadResp message;
        write_resolved(std::move(events[i]), plan_.form, *message.mutable_event());
        const bool last = i + 1 == events.size();
        if (!co_await esdb::send(call_, message, last ? then : more::follows)) {
            co_return false;
        }
    }
    co_return true;
}

awaitable<base::result<bool>> event_sender::send(std::vector<eventstore::recorded_event> events,
                                                 more then) {
    if (!plan_.resolve_links || std::ranges::none_of(events, is_link)) {
        std::vector<eventstore::resolved_event> same;
        same.reserve(events.size());
        for (auto& event : events) {
            same.push_back({std::move(event), std::nullopt});
        }
        co_return co_await send_resolved(std::move(same), then);
    }
    for (auto next = events.begin(); next != events.end();) {
        const auto left = static_cast<std::size_t>(events.end() - next);
        auto end = next;
        for (std::size_t count = 0, unknown = 0; count < std::min(left, portions_.next());
             ++count, ++end) {
            unknown += is_link(*end) && end->link_target == nullptr ? 1 : 0;
            if (unknown > unknown_links_max) {
                break;
            }
        }
        auto resolved = co_await resolve({std::move_iterator(next), std::move_iterator(end)});
        if (!resolved) {
            co_return base::fail(std::move(resolved.error()));
        }
        portions_.observe(*resolved);
        next = end;
        if (!co_await send_resolved(std::move(*resolved),
                                    next == events.end() ? then : more::follows)) {
            co_return false;
        }
    }
    co_return true;
}

} // namespace immortal::esdb
