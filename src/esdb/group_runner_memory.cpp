// The part of group_runner that keeps within the memory of all groups.
#include "base/assert.hpp"
#include "base/log.hpp"
#include "esdb/group_runner.hpp"
#include "runtime/deadline.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::chrono::seconds look_again{60}; // for room, whatever happens
constexpr std::chrono::seconds retry_pause{1}; // after the store refused a read

awaitable<bool> is_cancelled() {
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    co_return state.cancelled() != boost::asio::cancellation_type::none;
}

} // namespace

struct group_runner::restoring {
    persistent_group::hollow what;
    std::size_t reserved = 0;
};

group_memory::need group_runner::need() {
    const bool full = group_->consumers().full();
    gave_back_ = gave_back_ && full;
    return full ? group_memory::need::ahead : group_memory::need::urgent;
}

std::size_t group_runner::room(std::size_t& bytes) {
    const std::size_t events = group_->room();
    const auto why = need();
    if (!memory_) {
        return events;
    }
    if (events == 0 || gave_back_) {
        if (refilling_ == 0) {
            memory_->not_urgent();
        }
        return 0;
    }
    bytes = std::min(bytes, memory_->room(why));
    return bytes == 0 ? 0 : events;
}

std::size_t group_runner::own_room() const {
    const std::size_t held = group_->bytes_held() + reserved_;
    return held < persistent_group::bytes_held_max ? persistent_group::bytes_held_max - held : 0;
}

group_runner::portion group_runner::reserve(std::span<const std::size_t> sizes,
                                            group_memory::need why) {
    portion out;
    const std::size_t own = own_room();
    while (own > 0 && out.count < sizes.size() &&
           (out.count == 0 || out.bytes + sizes[out.count] <= own)) {
        out.bytes += sizes[out.count++];
    }
    if (memory_ && out.count > 0) {
        out = {.count = memory_->take(sizes.first(out.count), why)};
        for (const std::size_t size : sizes.first(out.count)) {
            out.bytes += size;
        }
    }
    reserved_ += out.bytes;
    return out;
}

void group_runner::release(std::size_t bytes) {
    IMMORTAL_ASSERT(reserved_ >= bytes);
    reserved_ -= bytes; // the others are told with what is held then
}

void group_runner::tell_held() {
    if (memory_) {
        memory_->hold(group_->bytes_held(), reserved_);
    }
}

void group_runner::let_go_waiting() {
    if (!memory_) {
        return;
    }
    if (need() == group_memory::need::ahead && refilling_ == 0) {
        memory_->not_urgent();
    }
    if (!memory_->asked_to_let_go()) {
        return;
    }
    if (group_->last().taken > 0) {
        known_ = std::max(known_, group_->last().place);
    }
    gave_back_ = true;
    if (group_->let_go_waiting()) {
        rewound_ = true;
        caught_up_ = false;
        if (source_ != nullptr) {
            source_->cancel(); // it may wait for what comes next
        }
    }
    tell_held();
}

void group_runner::let_go_given() {
    if (memory_ && memory_->asked_to_let_go()) {
        for (auto& [id, one] : members_) {
            one.consumer->let_go();
        }
        group_->let_go_given();
        tell_held();
    }
}

void group_runner::sent(const group_consumer& to, const base::uuid& id) {
    const std::lock_guard lock(mutex_);
    if (memory_ && members_.contains(to.id()) && memory_->asked_to_let_go()) {
        group_->let_go(to.id(), id);
        tell_held();
    }
}

// Counts a consumer that waits, and what is reserved for it, however that ends.
struct group_runner::refilling {
    group_runner& runner;
    std::size_t reserved = 0;
    explicit refilling(group_runner& waited_for) : runner(waited_for) {
        const std::lock_guard lock(runner.mutex_);
        ++runner.refilling_;
    }
    ~refilling() {
        const std::lock_guard lock(runner.mutex_);
        --runner.refilling_;
        end_reading();
    }
    refilling(const refilling&) = delete;
    refilling& operator=(const refilling&) = delete;
    void end_reading() { // with the lock
        runner.release(std::exchange(reserved, 0));
        runner.tell_held();
    }
};

awaitable<std::optional<group_message>> group_runner::whole(const group_consumer& to,
                                                            group_message message) {
    if (message.let_go == 0) {
        co_return std::move(message);
    }
    refilling guard(*this);
    for (;;) {
        const auto seen = room_.version();
        bool ready = false;
        {
            const std::lock_guard lock(mutex_);
            if (stopping_ || !members_.contains(to.id())) {
                co_return std::nullopt;
            }
            const auto [count, bytes] =
                reserve(std::span(&message.let_go, 1), group_memory::need::urgent);
            ready = count > 0;
            guard.reserved = bytes;
        }
        if (!ready) {
            if (!co_await room_.wait(seen, tick) && co_await is_cancelled()) {
                co_return std::nullopt;
            }
            continue;
        }
        auto event = co_await read_again(message);
        if (!event) {
            {
                const std::lock_guard lock(mutex_);
                guard.end_reading();
            }
            (void)co_await runtime::wait_for(retry_pause);
            if (co_await is_cancelled()) {
                co_return std::nullopt;
            }
            continue;
        }
        if (!*event) { // it is gone from the source
            nack(to, std::span(&message.id, 1), nack_action::skip, "");
            co_return std::nullopt;
        }
        message.event = std::make_shared<const eventstore::resolved_event>(std::move(**event));
        message.let_go = 0;
        bool held = false;
        {
            const std::lock_guard lock(mutex_);
            held = group_->refill(to.id(), message.id, message.event);
            guard.end_reading();
        }
        co_return held ? std::optional(std::move(message)) : std::nullopt;
    }
}

bool group_runner::rewound() {
    const std::lock_guard lock(mutex_);
    return rewound_;
}

std::optional<group_runner::restoring> group_runner::next_restoring() {
    const std::lock_guard lock(mutex_);
    (void)need();
    auto what = group_->next_hollow(true);
    // One that nobody is ready for yet holds the source back: it is read when there is room enough.
    if (!what && !gave_back_ && memory_ && group_->holds_source_back() &&
        memory_->room(group_memory::need::ahead) > 0) {
        what = group_->next_hollow(false);
    }
    if (stopping_ || !what) {
        return std::nullopt;
    }
    const auto reserved = reserve(std::span(&what->message.let_go, 1), need());
    return reserved.count == 0 ? std::nullopt
                               : std::optional(restoring{std::move(*what), reserved.bytes});
}

awaitable<base::result<std::optional<eventstore::resolved_event>>>
group_runner::read_again(group_message message) {
    const auto& original = message.original();
    std::vector<eventstore::recorded_event> one;
    if (definition_.of_all()) { // where events of deleted streams are still
        auto page =
            co_await services_.store.read_all({message.place}, eventstore::direction::forwards, 1);
        if (!page) {
            co_return base::fail(page.error());
        }
        one = std::move(page->events);
    } else {
        auto page = co_await services_.store.read_stream(original.stream, original.revision,
                                                         eventstore::direction::forwards, 1);
        if (!page && page.error().code != base::errc::deleted) {
            co_return base::fail(page.error());
        }
        if (page) {
            one = std::move(page->events);
        }
    }
    if (one.empty() || one.front().id != message.id) {
        co_return std::optional<eventstore::resolved_event>();
    }
    auto resolved = co_await resolve(std::move(one));
    if (!resolved) {
        co_return base::fail(resolved.error());
    }
    co_return std::optional(std::move(resolved->front()));
}

awaitable<void> group_runner::restore() {
    while (!stopping()) {
        const auto seen = room_.version();
        const auto next = next_restoring();
        if (!next) {
            (void)co_await room_.wait(seen, look_again);
            continue;
        }
        auto event = co_await read_again(next->what.message);
        {
            const std::lock_guard lock(mutex_);
            release(next->reserved);
            if (stopping_) {
                co_return;
            }
            if (event) {
                group_->restore(next->what.order, std::move(*event));
            }
            deliver();
        }
        wake();
        if (!event) {
            base::log_warning("esdb", "a group's message cannot be read again; it is tried again",
                              {{"group", definition_.key()}, {"what", event.error().message}});
            (void)co_await runtime::wait_for(retry_pause);
        }
    }
}

} // namespace immortal::esdb
