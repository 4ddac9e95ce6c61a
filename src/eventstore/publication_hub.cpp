#include "eventstore/publication_hub.hpp"

#include <optional>

namespace immortal::eventstore {

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

void publication_hub::run() {
    std::optional<std::chrono::steady_clock::time_point> report_at;
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
        board_->work();
        const auto now = std::chrono::steady_clock::now();
        if (report_at && now >= *report_at) {
            board_->report();
            report_at.reset();
        }
        if (!report_at && board_->wants_report()) {
            report_at = now + report_after;
        }
        lock.lock();
    }
}

} // namespace immortal::eventstore
