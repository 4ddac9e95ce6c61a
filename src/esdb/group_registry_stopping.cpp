// The part of group_registry that stops groups: all at once, within a time.
#include "base/log.hpp"
#include "esdb/group_registry.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <atomic>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::chrono::seconds look_again{30};
constexpr std::size_t stopped_at_once = 64;

} // namespace

struct group_registry::stopping {
    std::vector<runner_pointer> runners;
    drop_reason why = drop_reason::stopping;
    std::atomic<std::size_t> next = 0;
    std::atomic<std::size_t> working = 0;
    std::atomic<std::size_t> unwritten = 0; // checkpoints
    runtime::async_event ended;
};

awaitable<void> group_registry::stop_some(std::shared_ptr<stopping> all) {
    for (;;) {
        const std::size_t mine = all->next++;
        if (mine >= all->runners.size()) {
            break;
        }
        all->unwritten += co_await all->runners[mine]->stop(all->why) ? 0u : 1u;
    }
    --all->working;
    all->ended.notify_all();
}

// Several at a time, so that their last checkpoints share the store's syncs.
awaitable<void> group_registry::stop_all(drop_reason why) {
    const auto all = std::make_shared<stopping>();
    all->why = why;
    {
        const std::lock_guard lock(mutex_);
        for (auto& [key, one] : std::exchange(groups_, {})) {
            if (one.runner) {
                all->runners.push_back(one.runner);
            }
        }
    }
    all->working = std::min(all->runners.size(), stopped_at_once);
    for (std::size_t i = all->working; i > 0; --i) {
        boost::asio::co_spawn(boost::asio::make_strand(executor_), stop_some(all),
                              boost::asio::detached);
    }
    for (;;) {
        const auto seen = all->ended.version();
        if (all->working == 0) {
            break;
        }
        (void)co_await all->ended.wait(seen, look_again);
    }
    if (all->unwritten > 0) {
        base::log_warning("esdb",
                          "the last checkpoints of persistent subscriptions were not written in "
                          "time; events are delivered again",
                          {{"groups", std::uint64_t{all->unwritten}}});
    }
}

bool group_registry::stopped() {
    const std::lock_guard lock(mutex_);
    return phase_ == phase::stopped;
}

void group_registry::end_writes(std::chrono::milliseconds limit) {
    services_.writing->end_at(write_time::clock::now() + limit);
}

awaitable<void> group_registry::stop(std::chrono::milliseconds limit) {
    end_writes(limit);
    {
        const std::lock_guard lock(mutex_);
        phase_ = phase::stopped;
    }
    stopped_.notify_all();
    const auto held = co_await lock();
    co_await stop_all(drop_reason::stopping);
}

} // namespace immortal::esdb
