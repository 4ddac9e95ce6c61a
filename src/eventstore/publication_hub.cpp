#include "eventstore/publication_hub.hpp"

#include <exception>

namespace immortal::eventstore {
namespace {

constexpr std::chrono::milliseconds pause_without_memory{50};

} // namespace

publication_hub::publication_hub(base::metrics* metrics)
    : board_(std::make_shared<publication_board>(metrics)), thread_([this] { run(); }) {}

publication_hub::~publication_hub() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void publication_hub::publish(base::position end, std::span<const eventlog::index_entry> entries) {
    if (!board_->hand_over(end, entries)) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        waiting_work_ = true;
    }
    changed_.notify_one();
}

bool publication_hub::work(std::optional<steady_time>& report_at) {
    try {
        board_->work();
        const auto now = std::chrono::steady_clock::now();
        if (report_at && now >= *report_at) {
            report_at.reset();
            board_->report();
        }
        if (!report_at && board_->wants_report()) {
            report_at = now + report_after;
        }
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

void publication_hub::run() {
    std::optional<steady_time> report_at;
    std::unique_lock lock(mutex_);
    for (;;) {
        const auto wanted = [this] { return waiting_work_ || stopping_; };
        if (report_at) {
            changed_.wait_until(lock, *report_at, wanted);
        } else {
            changed_.wait(lock, wanted);
        }
        if (stopping_) {
            return;
        }
        waiting_work_ = false;
        lock.unlock();
        const bool done = work(report_at);
        lock.lock();
        if (!done) { // there was no memory: again, a little later
            waiting_work_ = true;
            changed_.wait_for(lock, pause_without_memory, [this] { return stopping_; });
        }
    }
}

} // namespace immortal::eventstore
