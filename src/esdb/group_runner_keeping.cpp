// The part of group_runner that writes: parked links, checkpoints, the parked stream's floor.
#include "base/log.hpp"
#include "esdb/group_runner.hpp"

#include <algorithm>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::size_t parkings_at_once = 500; // links in one append

} // namespace

awaitable<void> group_runner::keep() {
    while (!stopping()) {
        const auto seen = work_.version();
        {
            const std::lock_guard lock(mutex_);
            group_->expire(now());
            deliver();
            let_go_given();
        }
        room_.notify_all();
        // After a refusal (a full disk, say) everything stays as it is until the next tick.
        const bool fine = co_await write_parkings() && co_await write_checkpoint(false) &&
                          co_await write_parked_floor();
        if (fine) {
            (void)co_await work_.wait(seen, tick);
        } else if (!stopping()) {
            (void)co_await work_.wait(work_.version(), tick);
        }
    }
}

awaitable<bool> group_runner::write_parkings() {
    std::vector<parking> messages;
    {
        const std::lock_guard lock(mutex_);
        messages = group_->take_parkings();
    }
    bool fine = true;
    for (std::size_t done = 0; done < messages.size(); done += parkings_at_once) {
        const std::size_t count = std::min(parkings_at_once, messages.size() - done);
        const auto part = std::span(messages).subspan(done, count);
        base::result<std::uint64_t> end = base::fail(base::errc::cancelled, "not tried");
        if (fine) {
            end = co_await storage_.park(part);
            fine = end.has_value();
        }
        if (!end && end.error().code != base::errc::cancelled) {
            base::log_warning("esdb", "messages cannot be parked; it is tried again",
                              {{"group", definition_.key()}, {"what", end.error().message}});
        }
        const std::lock_guard lock(mutex_);
        for (parking& one : part) {
            if (end) {
                group_->parked(one.message);
            } else {
                group_->unparked(std::move(one));
            }
        }
        parked_end_ = end ? *end : parked_end_;
        deliver(); // what was parked is held no more
    }
    co_return fine;
}

awaitable<bool> group_runner::write_checkpoint(bool last) {
    std::optional<group_mark> mark;
    {
        const std::lock_guard lock(mutex_);
        mark = last ? group_->final_checkpoint() : group_->checkpoint_due(now());
    }
    if (!mark) {
        co_return true;
    }
    const auto written = co_await storage_.write_checkpoint(*mark->place);
    if (!written) {
        if (!services_.writing->over()) { // else the registry says it once for all groups
            base::log_warning("esdb",
                              last ? "the last checkpoint cannot be written; events are delivered "
                                     "again"
                                   : "a checkpoint cannot be written; it is tried again",
                              {{"group", definition_.key()}, {"what", written.error().message}});
        }
        co_return false;
    }
    const std::lock_guard lock(mutex_);
    group_->checkpoint_written(*mark, now());
    checkpoint_ = mark->place;
    co_return true;
}

awaitable<bool> group_runner::write_parked_floor() {
    std::uint64_t floor = 0;
    {
        const std::lock_guard lock(mutex_);
        floor = group_->parked_floor().value_or(0);
        if (floor <= parked_from_) {
            co_return true;
        }
    }
    const auto written = co_await storage_.truncate_parked(floor);
    if (!written) {
        base::log_warning("esdb", "replayed messages cannot be removed; it is tried again",
                          {{"group", definition_.key()}, {"what", written.error().message}});
        co_return false;
    }
    const std::lock_guard lock(mutex_);
    parked_from_ = floor;
    co_return true;
}

} // namespace immortal::esdb
