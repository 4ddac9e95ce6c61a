// The part of group_runner that reads: the source, and the parked stream for a replay.
#include "base/log.hpp"
#include "esdb/group_runner.hpp"
#include "esdb/read_plan.hpp"
#include "eventlog/stream_metadata.hpp"
#include "runtime/deadline.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::chrono::seconds look_again{60};      // for room, whatever happens
constexpr std::chrono::seconds retry_pause{1};      // after the store refused a read
constexpr std::size_t page_bytes_wanted = 4u << 20; // of one page, about
// A group whose filter wants little moves its mark after so many events all the same.
constexpr std::size_t considered_at_once = 10'000;

bool is_link(const eventstore::recorded_event& event) {
    return event.type == eventlog::link_type;
}

std::size_t size_of(const eventstore::recorded_event& event) {
    return event.data.size() + event.metadata.size() + event.stream.size() +
           (event.link_target ? size_of(*event.link_target) : 0);
}

std::size_t size_of(const std::vector<eventstore::resolved_event>& events) {
    std::size_t bytes = 0;
    for (const auto& one : events) {
        bytes += (one.event ? size_of(*one.event) : 0) + (one.link ? size_of(*one.link) : 0);
    }
    return bytes;
}

// What a link leads to may have any size.
std::size_t size_at_most(const eventstore::recorded_event& event, bool resolve_links) {
    const bool leads_away = resolve_links && is_link(event) && event.link_target == nullptr;
    return size_of(event) + (leads_away ? eventlog::event_size_max : 0);
}

} // namespace

void group_runner::open_source() {
    const std::lock_guard lock(mutex_);
    rewound_ = false;
    const auto after = group_->last().place;
    auto& store = services_.store;
    if (definition_.of_all()) {
        source_ = store.subscribe_all(after ? std::optional(base::position{*after}) : std::nullopt,
                                      definition_.filter.value_or(eventstore::all_filter{}));
    } else {
        source_ = store.subscribe_stream(
            definition_.stream, after ? std::optional(base::revision{*after}) : std::nullopt);
    }
    if (stopping_) { // stop() did not see it
        source_->cancel();
    }
}

std::size_t group_runner::wanted() {
    const std::lock_guard lock(mutex_);
    std::size_t bytes = page_bytes_wanted;
    const std::size_t room = group_->holds_source_back() ? 0 : this->room(bytes);
    reading_ = room > 0;
    if (room == 0) {
        return 0;
    }
    const group_settings& settings = definition_.settings;
    const auto page = static_cast<std::size_t>(
        caught_up_ ? std::max(settings.live_buffer_size, settings.read_batch_size)
                   : settings.read_batch_size);
    const std::size_t fitting = bytes / std::max<std::size_t>(1, event_size_);
    return std::max<std::size_t>(1, std::min({room, page, fitting}));
}

awaitable<void> group_runner::read_source() {
    open_source();
    while (!stopping()) {
        const auto seen = room_.version();
        const std::size_t count = wanted();
        if (count == 0) {
            (void)co_await room_.wait(seen, look_again);
            continue;
        }
        if (rewound()) {
            open_source();
        }
        auto batch = co_await source_->next(
            count, definition_.filter ? considered_at_once : eventstore::subscription::unbounded);
        if (rewound()) {
            continue;
        }
        base::status taken;
        if (!batch) {
            taken = base::fail(batch.error());
        } else {
            taken = co_await take(std::move(*batch));
        }
        if (taken) {
            continue;
        }
        if (stopping()) {
            co_return;
        }
        if (taken.error().code == base::errc::deleted) {
            source_ended(taken.error());
            co_return;
        }
        base::log_warning("esdb", "a group's source cannot be read; it is tried again",
                          {{"group", definition_.key()}, {"what", taken.error().message}});
        (void)co_await runtime::wait_for(retry_pause);
        open_source();
    }
}

awaitable<base::result<std::vector<eventstore::resolved_event>>>
group_runner::resolve(std::vector<eventstore::recorded_event> events) {
    std::vector<eventstore::resolved_event> out;
    if (definition_.settings.resolve_links && std::ranges::any_of(events, is_link)) {
        auto resolved = co_await services_.store.resolve_links(std::move(events));
        if (!resolved) {
            co_return resolved;
        }
        out = std::move(*resolved);
    } else {
        out.reserve(events.size());
        for (auto& event : events) {
            out.push_back({std::move(event), std::nullopt});
        }
    }
    for (auto& one : out) { // nobody reads these, and nobody counts them
        for (auto* part : {&one.event, &one.link}) {
            if (*part) {
                (*part)->link_target.reset();
            }
        }
    }
    co_return out;
}

group_runner::portion
group_runner::next_portion(std::span<const eventstore::recorded_event> events) {
    std::vector<std::size_t> sizes;
    std::size_t known = 0;
    for (const auto& event : events) {
        known += size_of(event);
        if (!sizes.empty() && known > page_bytes_wanted) {
            break;
        }
        sizes.push_back(size_at_most(event, definition_.settings.resolve_links));
    }
    const std::lock_guard lock(mutex_);
    const portion out = rewound_ ? portion{} : reserve(sizes, need());
    waits_for_bytes_ = out.count == 0;
    return out;
}

group_runner::portion
group_runner::next_portion(std::span<const group_storage::parked_message> messages) {
    std::vector<std::size_t> sizes;
    for (const auto& one : messages) {
        sizes.push_back(one.target ? size_at_most(*one.target, definition_.settings.resolve_links)
                                   : 0);
    }
    const std::lock_guard lock(mutex_);
    return reserve(sizes, need());
}

void group_runner::give_back(std::span<const eventstore::recorded_event> events) {
    std::size_t bytes = 0;
    for (const auto& event : events) {
        bytes += size_of(event);
    }
    {
        const std::lock_guard lock(mutex_);
        event_size_ = std::max(event_size_, bytes / events.size());
    }
    open_source();
}

void group_runner::take_one(std::uint64_t place, eventstore::resolved_event event) {
    const auto& original = event.link ? *event.link : *event.event;
    if (definition_.of_all() && !shown_in_all(original)) {
        group_->skip(place, 0);
    } else if (definition_.of_all() || original.revision != eventlog::tombstone_revision) {
        group_->take(place, std::move(event));
    } // else the end of the stream, which is no message of it
}

awaitable<base::status> group_runner::take(eventstore::subscription::batch batch) {
    std::span<eventstore::recorded_event> left(batch.events);
    std::size_t taken = 0;
    std::size_t bytes = 0;
    while (!left.empty()) {
        const auto seen = room_.version();
        const auto [count, reserved] = next_portion(left);
        if (count == 0 && rewound()) {
            co_return base::status{};
        }
        if (count == 0) { // more came than there is room for: it is read again when there is some
            give_back(left);
            batch = {};
            (void)co_await room_.wait(seen, look_again);
            co_return base::status{};
        }
        const auto part = left.first(count);
        left = left.subspan(count);
        std::vector<std::uint64_t> places;
        std::size_t read = 0;
        for (const auto& event : part) {
            places.push_back(definition_.of_all() ? event.position.value : event.revision.value);
            read += size_of(event);
        }
        auto events =
            co_await resolve({std::move_iterator(part.begin()), std::move_iterator(part.end())});
        bytes += events ? std::max(read, size_of(*events)) : 0;
        taken += count;
        {
            const std::lock_guard lock(mutex_);
            release(reserved);
            if (!events || stopping_ || rewound_) {
                tell_held();
                co_return events ? base::status{} : base::fail(events.error());
            }
            for (std::size_t i = 0; i < places.size(); ++i) {
                take_one(places[i], std::move((*events)[i]));
            }
            event_size_ = bytes / taken;
            deliver();
        }
        wake();
    }
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || rewound_) {
            co_return base::status{};
        }
        if (definition_.of_all()) {
            group_->skip(batch.processed.value,
                         batch.considered > taken ? batch.considered - taken : 0);
        }
        caught_up_ = batch.caught_up;
        deliver();
    }
    wake();
    co_return base::status{};
}

void group_runner::source_ended(const base::error& why) {
    base::log_info("esdb", "a group's source is deleted",
                   {{"group", definition_.key()}, {"what", why.message}});
    const std::lock_guard lock(mutex_);
    source_deleted_ = true;
    reading_ = false;
    drop_all(drop_reason::dropped);
}

std::size_t group_runner::replay_room(std::size_t& bytes) {
    const std::lock_guard lock(mutex_);
    const group_settings& settings = definition_.settings;
    const std::size_t count =
        std::min(room(bytes), static_cast<std::size_t>(settings.read_batch_size));
    // What was parked may be a link itself, which leads to an event of any size.
    return settings.resolve_links
               ? std::min(count, std::max<std::size_t>(1, std::min(bytes, own_room()) /
                                                              eventlog::event_size_max))
               : count;
}

awaitable<void> group_runner::replay_parked(std::uint64_t from, std::uint64_t end) {
    while (from < end && !stopping()) {
        const auto seen = room_.version();
        std::size_t bytes = page_bytes_wanted;
        const std::size_t count = replay_room(bytes);
        if (count == 0) {
            (void)co_await room_.wait(seen, look_again);
            continue;
        }
        auto page =
            co_await storage_.read_parked(from, std::min<std::uint64_t>(count, end - from), bytes);
        base::status taken;
        portion reserved;
        if (!page) {
            taken = base::fail(page.error());
        } else {
            std::erase_if(*page, [end](const auto& one) { return one.number >= end; });
            reserved = next_portion(*page);
            if (reserved.count == 0 && !page->empty()) {
                page = {};
                (void)co_await room_.wait(seen, look_again);
                continue;
            }
            page->erase(page->begin() + static_cast<std::ptrdiff_t>(reserved.count), page->end());
            from = page->empty() ? end : page->back().number + 1;
            taken = co_await take_parked(std::move(*page));
        }
        {
            const std::lock_guard lock(mutex_);
            release(reserved.bytes);
        }
        if (!taken) { // what was not taken stays parked
            base::log_warning("esdb", "parked messages cannot be replayed; ask again",
                              {{"group", definition_.key()}, {"what", taken.error().message}});
            break;
        }
        {
            const std::lock_guard lock(mutex_);
            replayed_to_ = from;
            group_->replayed_to(from);
            deliver();
        }
        wake();
    }
    const std::lock_guard lock(mutex_);
    replaying_ = false;
}

awaitable<base::status>
group_runner::take_parked(std::vector<group_storage::parked_message> messages) {
    std::erase_if(messages, [](const auto& one) { return !one.target; });
    std::vector<eventstore::recorded_event> targets;
    for (auto& one : messages) {
        targets.push_back(std::move(*one.target));
    }
    auto events = co_await resolve(std::move(targets));
    if (!events) {
        co_return base::fail(events.error());
    }
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < messages.size(); ++i) {
        auto& one = (*events)[i];
        const auto& original = one.link ? *one.link : *one.event;
        const std::uint64_t place =
            definition_.of_all() ? original.position.value : original.revision.value;
        group_->replay(messages[i].number, place, std::move(one));
    }
    co_return base::status{};
}

} // namespace immortal::esdb
