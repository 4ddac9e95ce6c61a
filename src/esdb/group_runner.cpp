#include "esdb/group_runner.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::chrono::seconds stop_limit{30};

std::uint64_t per_second(std::uint64_t items, base::steady_time::duration during) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(during).count();
    return items / static_cast<std::uint64_t>(std::max<std::int64_t>(1, seconds));
}

} // namespace

group_runner::group_runner(group_services services, boost::asio::any_io_executor executor,
                           group_definition definition)
    : services_(services), executor_(executor), definition_(std::move(definition)),
      storage_(services_, definition_.key(), definition_.of_all()),
      tasks_(std::move(executor), "group " + definition_.key()) {}

awaitable<base::status> group_runner::start() {
    const auto state = co_await storage_.load();
    if (!state) {
        co_return base::fail(state.error());
    }
    {
        const std::lock_guard lock(mutex_);
        checkpoint_ = state->checkpoint;
        parked_from_ = replayed_to_ = state->parked_from;
        parked_end_ = state->parked_end;
        group_ = std::make_unique<persistent_group>(
            definition_.settings, checkpoint_ ? checkpoint_ : definition_.begins_after(), now());
        if (services_.memory != nullptr) {
            memory_.emplace(*services_.memory, [this] { room_.notify_all(); });
        }
        since_ = now();
        stopping_ = false;
    }
    spawn(read_source(), "read");
    spawn(keep(), "keep");
    spawn(restore(), "restore");
    co_return base::status{};
}

awaitable<void> group_runner::counted(awaitable<void> work) {
    struct leaving {
        group_runner& of;
        ~leaving() {
            {
                const std::lock_guard lock(of.mutex_);
                --of.running_;
            }
            of.ended_.notify_all();
        }
    } const guard{*this};
    co_await std::move(work);
}

void group_runner::spawn(awaitable<void> work, std::string name) {
    {
        const std::lock_guard lock(mutex_);
        ++running_;
    }
    tasks_.spawn(counted(std::move(work)), std::move(name));
}

awaitable<bool> group_runner::stop(drop_reason why) {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(stopping_, true)) {
            co_return true;
        }
        drop_all(why);
        if (source_ != nullptr) {
            source_->cancel();
        }
    }
    room_.notify_all();
    work_.notify_all();
    // The coroutines end by themselves, so that no append is cut short.
    for (;;) {
        const auto seen = ended_.version();
        {
            const std::lock_guard lock(mutex_);
            if (running_ == 0) {
                break;
            }
        }
        if (!co_await ended_.wait(seen, stop_limit)) {
            break;
        }
    }
    (void)co_await tasks_.stop(stop_limit);
    {
        const std::lock_guard lock(mutex_);
        memory_.reset();
    }
    co_return why == drop_reason::deleted || co_await write_checkpoint(true);
}

bool group_runner::stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

void group_runner::drop_all(drop_reason why) {
    for (auto& [id, one] : members_) {
        one.consumer->drop(why);
        group_->disconnect(id);
    }
    members_.clear();
}

void group_runner::deliver() {
    for (delivery& one : group_->push(now())) {
        member& to = members_.at(one.to);
        ++to.items;
        ++items_;
        to.consumer->offer(std::move(one.message));
    }
    tell_held();
    let_go_waiting();
}

void group_runner::wake() {
    bool read = false;
    bool write = false;
    {
        const std::lock_guard lock(mutex_);
        read = group_->room() > 0 || waits_for_bytes_ || group_->next_hollow(true).has_value();
        write = group_->has_parkings() || group_->checkpoint_due(now()).has_value() ||
                group_->parked_floor().value_or(0) > parked_from_;
    }
    if (read) {
        room_.notify_all();
    }
    if (write) {
        work_.notify_all();
    }
}

base::result<std::shared_ptr<group_consumer>> group_runner::connect(std::size_t slots,
                                                                    consumer_identity who) {
    std::shared_ptr<group_consumer> made;
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            return base::fail(base::errc::unavailable, "The group is not ready.");
        }
        if (source_deleted_) {
            return base::fail(base::errc::deleted, "The stream of the group is deleted.");
        }
        if (group_->full()) {
            return base::fail(base::errc::exhausted, "The group has all the consumers it may.");
        }
        const consumer_id id = group_->connect(std::min(slots, slots_max));
        made = std::make_shared<group_consumer>(id, std::move(who));
        members_.emplace(id, member{.consumer = made, .since = now()});
        deliver();
    }
    wake();
    return made;
}

void group_runner::disconnect(const group_consumer& which) {
    {
        const std::lock_guard lock(mutex_);
        if (members_.erase(which.id()) == 0) {
            return;
        }
        group_->disconnect(which.id());
        deliver();
    }
    wake();
}

void group_runner::ack(const group_consumer& from, std::span<const base::uuid> ids) {
    {
        const std::lock_guard lock(mutex_);
        if (!members_.contains(from.id())) {
            return;
        }
        for (const base::uuid& id : ids) {
            group_->ack(from.id(), id, now());
        }
        deliver();
    }
    wake();
}

void group_runner::nack(const group_consumer& from, std::span<const base::uuid> ids,
                        nack_action action, const std::string& reason) {
    {
        const std::lock_guard lock(mutex_);
        if (!members_.contains(from.id())) {
            return;
        }
        for (const base::uuid& id : ids) {
            group_->nack(from.id(), id, action, reason, now());
        }
        deliver();
    }
    wake();
}

void group_runner::replay(std::optional<std::uint64_t> stop_at) {
    std::uint64_t from = 0;
    std::uint64_t end = 0;
    {
        const std::lock_guard lock(mutex_);
        from = replayed_to_;
        end = std::min(stop_at.value_or(parked_end_), parked_end_);
        if (stopping_ || replaying_ || end <= from) {
            return;
        }
        replaying_ = true;
    }
    spawn(replay_parked(from, end), "replay");
}

group_status group_runner::status() {
    const std::lock_guard lock(mutex_);
    group_status out{.definition = definition_, .state = "NotReady"};
    if (group_ == nullptr) {
        return out;
    }
    const bool live = caught_up_ && group_->room() > 0;
    out.state = live ? "Live" : reading_ ? "Behind, OutstandingPageRequest" : "Behind";
    if (replaying_) {
        out.state += ", ReplayingParkedMessages";
    }
    for (auto& [id, one] : members_) {
        const std::size_t held = group_->consumers().held(id);
        out.connections.push_back({.identity = one.consumer->identity(),
                                   .total_items = one.items,
                                   .items_since_last = one.items - one.items_told,
                                   .items_per_second = per_second(one.items, now() - one.since),
                                   .available_slots = group_->consumers().slots(id) - held,
                                   .in_flight = held});
        if (definition_.settings.extra_statistics) {
            out.connections.back().measurements = group_->latencies(id).measurements();
        }
        one.items_told = one.items;
    }
    out.total_items = items_;
    out.items_since_last = items_ - std::exchange(items_told_, items_);
    out.items_per_second = per_second(items_, now() - since_);
    out.checkpoint = checkpoint_;
    out.last_known = known_;
    if (group_->last().taken > 0) { // before, `last` is only where the group began
        out.last_known = std::max(known_, group_->last().place);
    }
    (live ? out.live_buffer : out.read_buffer) = group_->waiting_new();
    out.retry_buffer = group_->waiting_retries();
    out.in_flight = group_->in_flight();
    out.parked = parked_end_ - parked_from_;
    return out;
}

} // namespace immortal::esdb
