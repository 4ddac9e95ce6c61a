#include "esdb/event_sender.hpp"

#include "base/assert.hpp"
#include "esdb/event_messages.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/streams.pb.h"

#include <algorithm>
#include <iterator>
#include <map>

namespace immortal::esdb {

namespace {

constexpr std::string_view link_type = "$>";

// The most links at once whose targets are not known. It begins with one, which may lead to an
// event of the largest size, and doubles while what is found is small.
constexpr std::size_t unknown_links_max = 32;

bool is_link(const eventstore::recorded_event& event) {
    return event.type == link_type;
}

// The events as they were before their links were followed.
void restore(std::vector<eventstore::resolved_event> resolved,
             std::vector<eventstore::recorded_event>::iterator place) {
    for (auto& one : resolved) {
        IMMORTAL_ASSERT(one.link || one.event);
        *place++ = std::move(one.link ? *one.link : *one.event);
    }
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

std::size_t event_sender::portion_of(std::span<const eventstore::recorded_event> events) const {
    const std::size_t most = std::min(events.size(), portions_.next());
    std::size_t unknown = 0;
    for (std::size_t count = 0; count < most; ++count) {
        unknown += is_link(events[count]) && events[count].link_target == nullptr ? 1 : 0;
        if (unknown > unknown_max_) {
            return count;
        }
    }
    return most;
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
    bool one_by_one = false; // there was no room for more
    for (auto next = events.begin(); next != events.end();) {
        const std::size_t count = one_by_one ? 1 : portion_of({next, events.end()});
        const auto end = next + static_cast<std::ptrdiff_t>(count);
        auto resolved = co_await resolve({std::move_iterator(next), std::move_iterator(end)});
        if (!resolved) {
            co_return base::fail(std::move(resolved.error()));
        }
        portions_.observe(*resolved);
        unknown_max_ = std::min({unknown_max_ * 2, unknown_links_max, portions_.next()});
        if (!room_.take_targets(*resolved)) {
            one_by_one = true;
            restore(std::move(*resolved), next);
            resolved->clear();
            if (!co_await room_.wait()) {
                co_return base::fail(base::errc::exhausted, "too many answers are being sent");
            }
            continue;
        }
        one_by_one = false;
        next = end;
        if (!co_await send_resolved(std::move(*resolved),
                                    next == events.end() ? then : more::follows)) {
            co_return false;
        }
    }
    co_return true;
}

} // namespace immortal::esdb
