#include "eventlog/disk_index.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/disk_index_state.hpp"

#include <algorithm>

namespace immortal::eventlog {

using base::errc;
using base::fail;

base::status disk_index::open(const base::log_identity& log) {
    IMMORTAL_ASSERT(!store_ && !thread_.joinable());
    log_ = log;
    auto chosen = choose_store();
    if (!chosen) {
        return fail(std::move(chosen.error()));
    }
    store_ = std::move(*chosen);
    store_end_ = store_ ? store_->end() : base::position{};
    active_begin_ = store_end_;
    remake_wanted_ = store_ && store_->damaged();
    thread_ = std::thread([this] { run(); });
    return {};
}

// Of the two that a crash may leave behind: the one that holds more, and is not damaged.
base::result<std::shared_ptr<index_store>> disk_index::choose_store() {
    auto first = index_store::open_existing(store_settings(settings_.folder), files_, log_);
    auto second = first ? index_store::open_existing(store_settings(second_folder()), files_, log_)
                        : base::result<std::unique_ptr<index_store>>(nullptr);
    if (!first || !second) {
        return fail(first ? second.error() : first.error());
    }
    if (*first && *second) {
        // The other one is removed by the thread of the index.
        const auto worth = [](const index_store& one) {
            return std::pair(one.end(), !one.damaged());
        };
        retired_ = worth(**first) < worth(**second) ? std::move(*first) : std::move(*second);
    }
    for (const auto& [one, folder] :
         {std::pair(first->get(), settings_.folder), std::pair(second->get(), second_folder())}) {
        // What cannot be used would lie there for ever. (If neither can, a new one takes the first
        // one's place at once.)
        if (one == nullptr && !retired_ && index_store::leaves_files(files_, folder) &&
            (*first || *second || folder != settings_.folder)) {
            leftover_ = folder;
        }
    }
    if (*first || *second) {
        return std::shared_ptr<index_store>(std::move(*first ? *first : *second));
    }
    base::log_info("eventlog", "the index is made anew");
    auto made = index_store::make(store_settings(settings_.folder), files_, log_);
    // Without one, everything stays in memory for now.
    return made ? std::shared_ptr<index_store>(std::move(*made)) : nullptr;
}

base::status disk_index::discard() {
    std::unique_lock lock(mutex_);
    IMMORTAL_ASSERT(!closed_ && active_->events() == 0);
    changed_.wait(
        lock, [&] { return !retired_ && !leftover_; }); // its folder may be the one to be filled
    store_end_ = {};
    active_begin_ = {};
    remake_wanted_ = false;
    store_.reset();
    static_cast<void>(index_store::wipe(files_, second_folder())); // it may not be there
    auto made = index_store::make(store_settings(settings_.folder), files_, log_);
    store_ = made ? std::shared_ptr<index_store>(std::move(*made)) : nullptr;
    return {};
}

void disk_index::add(base::position frame, std::span<const index_entry> entries) {
    rest_.reset();
    active_->add(frame, entries);
}

void disk_index::take_back(base::position frame, std::span<const index_entry> entries) {
    rest_.reset();
    const std::lock_guard lock(mutex_);
    if (closed_ && frame < closed_end_.end) {
        closed_->take_back(frame, entries);
    } else {
        active_->take_back(frame, entries);
    }
}

void disk_index::close_part() {
    IMMORTAL_ASSERT(!closed_ && rest_);
    closed_ = std::move(active_);
    closed_end_ = *rest_;
    active_begin_ = closed_end_.end;
    active_ = make_part();
    changed_.notify_all();
}

namespace {

// How often one who waits for the index looks whether it waits for something itself.
constexpr std::chrono::milliseconds want_period{20};

base::error no_room(index_files::want missing) {
    switch (missing) {
    case index_files::want::space:
        return {errc::exhausted, "the disk is full: nothing was written; free some space",
                "disk_full"};
    case index_files::want::descriptors:
        return base::to_error({base::file_error::kind::too_many_open, {}});
    case index_files::want::nothing:
        break;
    }
    return index_delay("the event log's index cannot follow: try again a little later",
                       "index_behind");
}

} // namespace

void disk_index::await_part(std::unique_lock<std::mutex>& lock, steady::time_point limit) {
    while (closed_ && part_retry_.factor == 0 && !stopping_ &&
           missing() == index_files::want::nothing &&
           steady::now() < std::min(limit, close_deadline_)) {
        changed_.wait_for(lock, want_period);
    }
}

base::status disk_index::rest_at(const log_place& here) {
    rest_ = here;
    if (!part_is_large()) {
        return {};
    }
    std::unique_lock lock(mutex_);
    if (meters_) {
        meters_->tail_bytes.set(static_cast<double>(active_->bytes()));
    }
    if (closed_ && active_->bytes() < settings_.tail_bytes_max) {
        return {};
    }
    await_part(lock, steady::now() + settings_.patience);
    if (closed_) {
        return fail(no_room(missing()));
    }
    close_part();
    return {};
}

void disk_index::rest_of_start_at(const log_place& here) {
    rest_ = here;
    if (!part_is_large()) {
        return;
    }
    std::unique_lock lock(mutex_);
    if (closed_ && active_->bytes() < settings_.tail_bytes_max) {
        return;
    }
    while (part_is_due() && !stopping_ &&
           (!store_ || store_->waits_for() == index_files::want::nothing)) {
        changed_.wait_for(lock, want_period);
    }
    if (!closed_) {
        close_part();
    } else if (!over_bound_) {
        over_bound_ = true;
        base::log_warning("eventlog",
                          "the index cannot be written while the log is opened: what is read of "
                          "the log goes on filling the memory, and appends are refused until the "
                          "index is written",
                          {{"log_bytes", here.end.value}});
    }
}

void disk_index::made_durable(base::position durable) {
    const std::lock_guard lock(mutex_);
    durable_ = durable;
    if (closed_ && durable_ >= closed_end_.end) {
        changed_.notify_all();
    }
}

void disk_index::set_source(index_source& source) {
    const std::lock_guard lock(mutex_);
    source_ = &source;
    changed_.notify_all();
}

void disk_index::distrust(std::string_view cause) {
    std::shared_ptr<index_store> wrong;
    {
        const std::lock_guard lock(mutex_);
        if (store_ && store_->distrust(cause)) {
            wrong = store_;
            remake_wanted_ = true;
            changed_.notify_all();
        }
    }
    // Before anybody hears of it, so that a restart does not believe it again. If it cannot be
    // written now, the making anew tries again.
    if (wrong) {
        wrong->mark_damaged();
    }
}

void disk_index::expect_close() {
    const std::lock_guard lock(mutex_);
    close_deadline_ = std::min(close_deadline_, steady::now() + settings_.close_patience);
    changed_.notify_all();
}

void disk_index::close() {
    expect_close();
    {
        std::unique_lock lock(mutex_);
        if (!thread_.joinable()) {
            return;
        }
        const auto await_durable_part = [&] {
            if (durable_ >= closed_end_.end) { // else it is never put on disk
                await_part(lock, close_deadline_);
            }
        };
        await_durable_part();
        if (!closed_ && part_retry_.factor == 0 && active_->events() > 0 && rest_ &&
            rest_->end <= durable_ && missing() == index_files::want::nothing) {
            close_part();
            await_durable_part();
        }
        stopping_ = true;
        for (const auto& each : {store_, making_}) {
            if (each) {
                each->give_up();
            }
        }
        changed_.notify_all();
    }
    thread_.join();
    const std::lock_guard lock(mutex_);
    retired_.reset();
    store_.reset();
}

index_instant disk_index::now() const {
    const std::lock_guard lock(mutex_);
    index_instant out{store_, store_end_, {}};
    if (closed_) {
        out.parts.push_back(closed_);
    }
    out.parts.push_back(active_);
    return out;
}

template <typename Ask>
auto disk_index::answer(Ask ask) -> decltype(ask(std::declval<const index_instant&>())) {
    index_instant seen = now();
    auto out = ask(seen);
    if (out) {
        return out;
    }
    {
        const std::lock_guard lock(mutex_);
        if (store_ && store_->damaged() && !remake_wanted_) {
            remake_wanted_ = true;
            changed_.notify_all();
        }
    }
    if (auto whole = substitute(seen.older_end)) {
        seen.older.reset();
        seen.parts.insert(seen.parts.begin(), std::move(whole));
        return ask(seen);
    }
    return out;
}

// What of the log stands on disk, read from the log itself; null: it is too long for that.
std::shared_ptr<const index_part> disk_index::substitute(base::position end) {
    index_source* source = nullptr;
    {
        const std::lock_guard lock(mutex_);
        source = source_;
    }
    if (source == nullptr || end.value > settings_.log_scan_max) {
        return nullptr;
    }
    const std::lock_guard one_at_a_time(substitute_mutex_);
    if (substitute_ && substitute_end_ == end) {
        return substitute_;
    }
    auto part = make_part();
    const auto read = source->read(
        {}, end,
        {.rest = [](const log_place&) { return true; },
         .add = [&](base::position frame,
                    std::span<const index_entry> entries) { part->add(frame, entries); }});
    if (!read) {
        return nullptr;
    }
    substitute_ = std::move(part);
    substitute_end_ = end;
    return substitute_;
}

std::unique_ptr<log_index> make_disk_index(disk_index_settings settings, base::file_system& files,
                                           base::metrics* metrics) {
    return std::make_unique<disk_index>(std::move(settings), files, metrics);
}

} // namespace immortal::eventlog
