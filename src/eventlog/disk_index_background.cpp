// The thread of the index: puts parts on disk, opens anew what could not be written, makes anew
// what is damaged. It does one of them at a time, so that the store's end does not move under a
// making anew but by its own doing.
#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/disk_index_state.hpp"
#include "eventlog/index_rebuild.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

constexpr int pause_factor_max = 50;
// How often a store that was replaced is looked at: whether somebody still reads it.
constexpr std::chrono::milliseconds retired_patience{20};

} // namespace

using base::fail;

void disk_index::run() {
    held_lock lock(mutex_);
    while (!stopping_) {
        if (part_is_due()) {
            put_part(lock);
        } else if (leftover_) {
            remove_leftover(lock);
        } else if (retired_) {
            remove_retired(lock);
        } else if (remake_is_due()) {
            remake(lock);
        } else if (const auto next = next_attempt()) {
            changed_.wait_until(lock, *next);
        } else {
            changed_.wait(lock);
        }
    }
}

auto disk_index::next_attempt() const -> std::optional<steady::time_point> {
    std::optional<steady::time_point> out;
    if (closed_ && durable_ >= closed_end_.end) {
        out = part_retry_.next;
    }
    if (remake_wanted_ && source_ != nullptr) {
        out = out ? std::min(*out, remake_retry_.next) : remake_retry_.next;
    }
    return out;
}

void disk_index::postpone(retry& what) const {
    what.next = steady::now() + settings_.retry_pause * std::max(what.factor, 1);
    what.factor = std::clamp(what.factor * 2, 1, pause_factor_max);
}

void disk_index::put_part(held_lock& lock) {
    if (!store_ || store_->failed()) {
        reopen(lock);
    }
    if (stopping_ || !part_is_due() || !store_) {
        return;
    }
    const auto part = closed_;
    const log_place end = closed_end_;
    const auto store = store_;
    lock.unlock();
    const auto began = steady::now();
    const auto done = store->add(*part, end);
    if (meters_) {
        const std::chrono::duration<double> took = steady::now() - began;
        meters_->checkpoint_seconds.observe(took.count());
        meters_->checkpoints.add();
    }
    lock.lock();
    if (done) {
        store_end_ = end.end;
        closed_.reset();
        part_retry_ = {};
    } else {
        remake_wanted_ = remake_wanted_ || store->damaged();
        postpone(part_retry_);
    }
    changed_.notify_all();
}

// What stands on disk is what was there when the store failed: it must reach to the parts in
// memory, and may hold the one that was on its way.
void disk_index::reopen(held_lock& lock) {
    const auto old = store_;
    const std::string folder = old ? old->folder() : settings_.folder;
    lock.unlock();
    auto opened = index_store::open_existing(store_settings(folder), files_, log_);
    if (opened && !*opened && !old) {
        opened = index_store::make(store_settings(folder), files_, log_);
    }
    lock.lock();
    if (opened && *opened && !(*opened)->failed()) {
        const base::position end = (*opened)->end();
        if (end == store_end_ || (closed_ && end == closed_end_.end)) {
            if (old) {
                (*opened)->take_over_faults(*old);
            }
            store_ = std::move(*opened);
            store_end_ = end;
            if (closed_ && end == closed_end_.end) {
                closed_.reset();
                part_retry_ = {};
            }
            changed_.notify_all();
            return;
        }
        remake_wanted_ = true; // it holds less, or something else
    } else if (opened && !*opened) {
        remake_wanted_ = true;
    }
    postpone(part_retry_);
    changed_.notify_all();
}

void disk_index::remake(held_lock& lock) {
    const auto old = store_;
    const bool into_second = !old || old->folder() == settings_.folder;
    const std::string folder = into_second ? second_folder() : settings_.folder;
    base::log_warning("eventlog", "the index is made anew from the log, in the background",
                      {{"log_bytes", store_end_.value}});
    if (meters_) {
        meters_->remaking.set(1);
    }
    lock.unlock();
    if (old) {
        old->mark_damaged(); // so that the next start goes on with this
    }
    auto made = index_store::make(store_settings(folder), files_, log_);
    std::shared_ptr<index_store> fresh = made ? std::move(*made) : nullptr;
    lock.lock();
    making_ = fresh;
    if (stopping_ && fresh) { // close() could not see it
        fresh->give_up();
    }
    lock.unlock();
    const auto done = fresh ? remake_into(*fresh) : base::status(fail(std::move(made.error())));
    lock.lock();
    making_.reset();
    if (!done) {
        if (!stopping_) {
            base::log_warning("eventlog", "the index could not be made anew yet",
                              {{"cause", done.error().message}});
        }
        postpone(remake_retry_);
        return;
    }
    IMMORTAL_ASSERT(fresh->end() == store_end_);
    take(std::move(fresh), lock);
}

// Until `made` ends where the store in use does, which goes on taking parts meanwhile.
base::status disk_index::remake_into(index_store& made) {
    log_place here;
    for (;;) {
        base::position end;
        {
            const std::lock_guard lock(mutex_);
            end = store_end_;
        }
        if (made.end() == end) {
            return {};
        }
        auto reached = rebuild(
            made, *source_, here, end,
            {settings_.correlations, settings_.part_events_max, settings_.part_bytes_max}, [this] {
                held_lock lock(mutex_);
                if (part_is_due()) { // the store in use goes on as long as it can
                    put_part(lock);
                }
                return !stopping_;
            });
        if (!reached) {
            return fail(std::move(reached.error()));
        }
        here = *reached;
    }
}

void disk_index::take(std::shared_ptr<index_store> next, held_lock&) {
    retired_ = std::exchange(store_, std::move(next));
    remake_wanted_ = false;
    remake_retry_ = {};
    part_retry_ = {};
    if (meters_) {
        meters_->remaking.set(0);
    }
    base::log_info("eventlog", "the index was made anew", {{"log_bytes", store_end_.value}});
    changed_.notify_all();
}

void disk_index::remove_retired(held_lock& lock) {
    if (retired_.use_count() > 1) {
        changed_.wait_for(lock, retired_patience);
        return;
    }
    const std::string folder = retired_->folder();
    lock.unlock();
    retired_->give_up();
    retired_->close();
    if (auto wiped = index_store::wipe(files_, folder); !wiped) {
        // It is damaged by its own account, and the next making anew wipes it.
        base::log_warning("eventlog", "a damaged index could not be removed",
                          {{"cause", wiped.error().text}});
    }
    {
        const std::lock_guard one_at_a_time(substitute_mutex_);
        substitute_.reset();
    }
    lock.lock();
    retired_.reset();
    changed_.notify_all();
}

// Tried once: the next start, or the next making anew in that folder, tries again.
void disk_index::remove_leftover(held_lock& lock) {
    const std::string folder = *leftover_;
    lock.unlock();
    base::log_info("eventlog", "an index that cannot be used is removed", {{"folder", folder}});
    if (auto wiped = index_store::wipe(files_, folder); !wiped) {
        base::log_warning("eventlog", "an index that cannot be used could not be removed",
                          {{"folder", folder}, {"cause", wiped.error().text}});
    }
    lock.lock();
    leftover_.reset();
    changed_.notify_all();
}

} // namespace immortal::eventlog
