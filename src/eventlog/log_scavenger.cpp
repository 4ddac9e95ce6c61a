#include "eventlog/log_scavenger.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/uuid.hpp"
#include "eventlog/scavenge_segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string>
#include <system_error>
#include <utility>

namespace immortal::eventlog {

using base::errc;
using base::fail;

namespace {
constexpr std::size_t threads_max = 8;
}

base::result<std::string> log_scavenger::start(scavenge_options options,
                                               scavenge_observer observer) {
    if (options.threads == 0 || options.threads > threads_max) {
        return fail(errc::invalid_argument, "a scavenge has 1 to 8 threads", {}, "threads");
    }
    const std::uint32_t last = parts_.segments.all().back()->number();
    if (options.from_segment > last) {
        return fail(errc::invalid_argument,
                    "there is no segment " + std::to_string(options.from_segment) +
                        ": the last one is " + std::to_string(last),
                    {}, "from_segment");
    }
    const std::lock_guard joining(thread_mutex_);
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return fail(errc::cancelled, "the event log is closed");
        }
        if (status_.state == scavenge_state::running) {
            return fail(errc::already_exists, "a scavenge is running: " + status_.id,
                        "in_progress");
        }
        status_ = {};
        status_.id = base::uuid::make_random(random_).text();
        status_.state = scavenge_state::running;
        status_.options = options;
        status_.started = parts_.clock.now();
        observer_ = std::move(observer);
        stopping_ = false;
        allowed_at_ = std::chrono::steady_clock::now();
    }
    if (thread_.joinable()) {
        thread_.join(); // of the one before, which has ended
    }
    std::string id = status().id;
    try {
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& refused) {
        base::log_error("eventlog", "a scavenge could not begin", {{"cause", refused.what()}});
        const std::lock_guard lock(mutex_);
        status_ = {};
        observer_ = {};
        return fail(errc::unavailable,
                    std::string("the system refused a thread for the scavenge: ") + refused.what());
    }
    return id;
}

void log_scavenger::set_recorder(scavenge_observer recorder) {
    const std::lock_guard one_at_a_time(observer_mutex_);
    recorder_ = std::move(recorder);
}

base::status log_scavenger::maintain_reserve() {
    const std::lock_guard one_at_a_time(reserve_mutex_);
    {
        const std::lock_guard lock(mutex_);
        if (closed_ || status_.state == scavenge_state::running) {
            return {};
        }
    }
    if (parts_.segments.all().size() < 2) { // there is nothing to scavenge yet
        return {};
    }
    // Not so much that writes are soon refused because of it.
    const auto kept = reserve_.keep(2 * parts_.free_space_min);
    return kept ? base::status{} : fail(base::to_error(kept.error()));
}

base::status log_scavenger::stop(const std::string& id) {
    const std::lock_guard lock(mutex_);
    if (status_.state != scavenge_state::running || status_.id != id) {
        return fail(errc::not_found, "no scavenge with this id is running");
    }
    stopping_ = true;
    changed_.notify_all();
    return {};
}

scavenge_status log_scavenger::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

void log_scavenger::wait(wait_how how) {
    std::unique_lock lock(mutex_);
    if (how == wait_how::stop_now) {
        stopping_ = true;
        changed_.notify_all();
    }
    changed_.wait(lock, [&] { return status_.state != scavenge_state::running; });
}

void log_scavenger::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        stopping_ = true;
        changed_.notify_all();
    }
    const std::lock_guard joining(thread_mutex_);
    if (thread_.joinable()) {
        thread_.join();
    }
}

void log_scavenger::tell() {
    const std::lock_guard one_at_a_time(observer_mutex_);
    const scavenge_status now = status();
    if (observer_) {
        observer_(now);
    }
    if (recorder_ && now.options.mode == scavenge_mode::rewrite) {
        recorder_(now);
    }
}

void log_scavenger::run() {
    work shared = begin();
    tell();
    take_all(shared, &log_scavenger::measure);
    shared.items = std::exchange(shared.kept, {});
    std::ranges::sort(shared.items, [](const item& a, const item& b) {
        return std::pair(a.gain.bytes(), b.from->number()) >
               std::pair(b.gain.bytes(), a.from->number());
    });
    if (status().options.mode == scavenge_mode::rewrite) {
        rewrite_all(shared);
    }
    finish(shared);
}

log_scavenger::work log_scavenger::begin() {
    work shared;
    auto segments = parts_.segments.all();
    segments.pop_back();            // it is still written
    shared.end = parts_.head.end(); // after that: all of them end before
    shared.now = parts_.clock.now();
    const std::lock_guard one_at_a_time(reserve_mutex_);
    if (auto done = remove_unfinished_rewrites(parts_.files, parts_.folder, reserve_); !done) {
        base::log_error("eventlog", "a scavenge could not begin", {{"cause", done.error().text}});
        shared.problem = base::to_error(done.error());
    }
    const auto present = // one that is not wanted is removed
        reserve_.is_wanted() ? reserve_.holds(reserve_.bytes()) : reserve_.keep(0);
    shared.had_reserve = present && *present;
    const std::lock_guard lock(mutex_);
    for (auto& one : segments) {
        if (one->number() >= status_.options.from_segment) {
            shared.items.push_back({std::move(one), {}});
        }
    }
    status_.segments_total = static_cast<std::uint32_t>(shared.items.size());
    return shared;
}

// What found no room may find it when others were rewritten.
void log_scavenger::rewrite_all(work& shared) {
    for (std::size_t before = 0; shared.items.size() != before;) {
        before = shared.items.size();
        shared.no_room.reset();
        take_all(shared, &log_scavenger::rewrite_one);
        shared.items = std::exchange(shared.kept, {});
    }
    if (!shared.items.empty() && !shared.problem) {
        shared.problem = std::move(shared.no_room);
    }
}

void log_scavenger::finish(work& shared) {
    if (status().options.mode == scavenge_mode::rewrite) {
        const std::lock_guard one_at_a_time(reserve_mutex_);
        if (parts_.segments.all().size() > 1) {
            // One that was there is there again; a new one does not make writes be refused.
            const std::uint64_t beside = shared.had_reserve ? 0 : 2 * parts_.free_space_min;
            if (const auto kept = reserve_.keep(beside); !kept) {
                base::log_warning("eventlog", "the reserve for scavenges could not be made",
                                  {{"cause", kept.error().text}});
            }
        }
    }
    scavenge_status end;
    {
        const std::lock_guard lock(mutex_);
        const bool all = status_.segments_done == status_.segments_total;
        end = status_;
        end.state = shared.problem ? scavenge_state::failed
                    : all          ? scavenge_state::completed
                                   : scavenge_state::stopped;
        end.problem = shared.problem ? shared.problem->message : "";
        end.ended = parts_.clock.now();
    }
    if (end.options.mode == scavenge_mode::measure) {
        for (const item& one : shared.items) {
            end.gains.push_back(one.gain);
        }
    }
    base::log_info("eventlog", "a scavenge ended",
                   {{"id", end.id},
                    {"dry_run", end.options.mode == scavenge_mode::measure},
                    {"segments_rewritten", end.segments_rewritten},
                    {"events_removed", end.events_removed},
                    {"bytes_saved", end.bytes_saved},
                    {"problem", end.problem}});
    {
        // Before the state changes: who waits for the end may then throw things away.
        const std::lock_guard one_at_a_time(observer_mutex_);
        if (const auto observer = std::exchange(observer_, {})) {
            observer(end);
        }
        if (recorder_ && end.options.mode == scavenge_mode::rewrite) {
            recorder_(end);
        }
    }
    const std::lock_guard lock(mutex_);
    status_ = std::move(end);
    changed_.notify_all();
}

void log_scavenger::take_all(work& shared, step how) {
    shared.next = 0;
    const std::size_t threads = status().options.threads;
    std::vector<std::thread> others;
    others.reserve(threads);
    try {
        for (std::size_t i = 1; i < threads && i < shared.items.size(); ++i) {
            others.emplace_back([&] { take_some(shared, how); });
        }
    } catch (const std::system_error& refused) { // fewer do it too
        base::log_warning("eventlog", "the system refused a thread", {{"why", refused.what()}});
    }
    take_some(shared, how);
    for (std::thread& other : others) {
        other.join();
    }
}

void log_scavenger::take_some(work& shared, step how) {
    scavenge_rules rules(parts_.index, parts_.reader, shared.end, shared.now);
    for (;;) {
        item* one = nullptr;
        {
            const std::lock_guard lock(mutex_);
            if (stopping_ || shared.problem || shared.next == shared.items.size()) {
                return;
            }
            one = &shared.items[shared.next++];
        }
        if (auto done = (this->*how)(shared, *one, rules); !done) {
            const std::lock_guard lock(mutex_);
            if (done.error().code != errc::cancelled && !shared.problem) {
                base::log_error("eventlog", "a scavenge failed",
                                {{"segment", one->from->name()}, {"cause", done.error().message}});
                shared.problem = std::move(done.error());
            }
            return;
        }
        tell();
    }
}

segment_rewrite log_scavenger::rewrite_of(const work& shared, const item& one,
                                          scavenge_rules& rules) {
    const auto next = parts_.segments.find(*parts_.segments.end_of(*one.from));
    IMMORTAL_ASSERT(next->first() <= shared.end);
    return {.files = parts_.files,
            .folder = parts_.folder,
            .from = one.from,
            .end = next->first(),
            .last_chain = next->header().previous_chain,
            .free_space_min = parts_.free_space_min,
            .removes = [&](const record_view& record) { return rules.removes(record); },
            .go_on = [&](std::uint64_t bytes) { return go_on(bytes); }};
}

base::status log_scavenger::measure(work& shared, item& one, scavenge_rules& rules) {
    const auto gain = measure_gain(rewrite_of(shared, one, rules));
    if (!gain) {
        return fail(gain.error());
    }
    one.gain = *gain;
    const std::lock_guard lock(mutex_);
    ++status_.segments_measured;
    const bool gains = gain->events_removed > 0 && gain->bytes() > 0;
    const bool only_measured = status_.options.mode == scavenge_mode::measure;
    if (!gains || only_measured) {
        ++status_.segments_done;
    }
    if (gains) {
        shared.kept.push_back(one);
    }
    if (gains && only_measured) {
        ++status_.segments_rewritten;
        status_.events_removed += gain->events_removed;
        status_.bytes_saved += gain->bytes();
    }
    return {};
}

base::result<bool> log_scavenger::promise_room(work& shared, const segment_rewrite& what,
                                               std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    auto room = has_room(what, shared.promised_bytes + bytes);
    shared.promised_bytes += room && *room ? bytes : 0;
    return room;
}

base::status log_scavenger::rewrite_one(work& shared, item& one, scavenge_rules& rules) {
    const segment_rewrite what = rewrite_of(shared, one, rules);
    const auto room = promise_room(shared, what, one.gain.bytes_after);
    if (!room) {
        return fail(room.error());
    }
    return *room ? rewrite_beside(shared, one, what) : rewrite_in_reserve(shared, one, what);
}

base::status log_scavenger::rewrite_beside(work& shared, const item& one,
                                           const segment_rewrite& what) {
    auto written = rewrite(what, one.gain, nullptr);
    const bool no_room = !written && written.error().code == errc::exhausted;
    auto done = no_room ? base::status{} : replace(one, std::move(written));
    if (no_room) { // somebody else took it
        keep_for_later(shared, one);
    }
    const std::lock_guard lock(mutex_);
    shared.promised_bytes -= one.gain.bytes_after;
    return done;
}

base::status log_scavenger::rewrite_in_reserve(work& shared, const item& one,
                                               const segment_rewrite& what) {
    const std::lock_guard one_at_a_time(reserve_mutex_);
    // One that was not there is not made here: there is no room beside what is kept free.
    auto reserved = shared.had_reserve ? reserve_.keep(0) : reserve_.is_wanted();
    reserved = reserved && *reserved ? reserve_.holds(one.gain.bytes_after) : reserved;
    if (!reserved || !*reserved) {
        keep_for_later(shared, one);
        return {};
    }
    auto done = replace(one, rewrite(what, one.gain, &reserve_));
    // The next one's room, before anybody else takes it.
    if (const auto kept = shared.had_reserve ? reserve_.keep(0) : false; !kept) {
        base::log_warning("eventlog", "the reserve for scavenges could not be made again",
                          {{"cause", kept.error().text}});
    }
    return done;
}

void log_scavenger::keep_for_later(work& shared, const item& one) {
    const std::lock_guard lock(mutex_);
    shared.no_room = base::error{
        errc::exhausted, fmt::format("there is too little space to rewrite a segment: {} bytes are "
                                     "needed beside the {} that are kept free, and no reserve is "
                                     "there: free some space",
                                     one.gain.bytes_after, parts_.free_space_min)};
    shared.kept.push_back(one);
}

base::status log_scavenger::replace(const item& one, base::result<rewritten_segment> found) {
    if (!found) {
        return fail(std::move(found.error()));
    }
    IMMORTAL_ASSERT(found->now->number() == one.from->number());
    parts_.segments.replace(std::move(found->now));
    const std::lock_guard lock(mutex_);
    ++status_.segments_done;
    ++status_.segments_rewritten;
    status_.events_removed += found->events_removed;
    status_.bytes_saved += found->bytes_saved;
    return found->unsynced ? base::status(fail(std::move(*found->unsynced))) : base::status{};
}

bool log_scavenger::go_on(std::uint64_t bytes) {
    std::unique_lock lock(mutex_);
    if (const std::uint64_t limit = status_.options.bytes_per_second; limit > 0) {
        const auto now = std::chrono::steady_clock::now();
        const std::chrono::duration<double> cost(static_cast<double>(bytes) /
                                                 static_cast<double>(limit));
        allowed_at_ = std::max(allowed_at_, now) +
                      std::chrono::duration_cast<std::chrono::steady_clock::duration>(cost);
        const auto until = allowed_at_;
        if (until > now + std::chrono::milliseconds(1)) {
            changed_.wait_until(lock, until, [&] { return stopping_; });
        }
    }
    return !stopping_;
}

} // namespace immortal::eventlog
