#include "eventlog/log_scavenger.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/uuid.hpp"
#include "eventlog/scavenge_segment.hpp"

#include <algorithm>
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
        const std::lock_guard lock(mutex_);
        status_ = {};
        observer_ = {};
        return fail(errc::unavailable,
                    std::string("the system refused a thread for the scavenge: ") + refused.what());
    }
    return id;
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
    if (observer_) {
        observer_(status());
    }
}

void log_scavenger::run() {
    work shared;
    shared.segments = parts_.segments.all();
    shared.segments.pop_back();     // it is still written
    shared.end = parts_.head.end(); // after that: all of them end before
    shared.now = parts_.clock.now();
    std::size_t threads = 0;
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(shared.segments, [&](const std::shared_ptr<segment>& one) {
            return one->number() < status_.options.from_segment;
        });
        status_.segments_total = static_cast<std::uint32_t>(shared.segments.size());
        threads = status_.options.threads;
    }
    if (auto done = remove_unfinished_rewrites(parts_.files, parts_.folder); !done) {
        base::log_error("eventlog", "a scavenge could not begin", {{"cause", done.error().text}});
        shared.problem = base::to_error(done.error());
    }
    tell();
    std::vector<std::thread> others;
    others.reserve(threads);
    try {
        for (std::size_t i = 1; i < threads; ++i) {
            others.emplace_back([&] { run_one(shared); });
        }
    } catch (const std::system_error& refused) { // fewer do it too
        base::log_warning("eventlog", "the system refused a thread", {{"why", refused.what()}});
    }
    run_one(shared);
    for (std::thread& other : others) {
        other.join();
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
    base::log_info("eventlog", "a scavenge ended",
                   {{"id", end.id},
                    {"segments_rewritten", end.segments_rewritten},
                    {"events_removed", end.events_removed},
                    {"bytes_saved", end.bytes_saved},
                    {"problem", end.problem}});
    scavenge_observer observer;
    {
        const std::lock_guard one_at_a_time(observer_mutex_);
        observer = std::exchange(observer_, {});
    }
    if (observer) { // before the state changes: who waits for the end may then throw things away
        observer(end);
    }
    const std::lock_guard lock(mutex_);
    status_ = std::move(end);
    changed_.notify_all();
}

void log_scavenger::run_one(work& shared) {
    scavenge_rules rules(parts_.index, parts_.reader, shared.end, shared.now);
    for (;;) {
        std::shared_ptr<segment> one;
        {
            const std::lock_guard lock(mutex_);
            if (stopping_ || shared.problem || shared.next == shared.segments.size()) {
                return;
            }
            one = shared.segments[shared.next++];
        }
        auto done = scavenge_segment(shared, one, rules);
        {
            const std::lock_guard lock(mutex_);
            if (!done) {
                if (done.error().code != errc::cancelled && !shared.problem) {
                    base::log_error("eventlog", "a scavenge failed",
                                    {{"segment", one->name()}, {"cause", done.error().message}});
                    shared.problem = std::move(done.error());
                }
                return;
            }
            ++status_.segments_done;
        }
        tell();
    }
}

base::status log_scavenger::scavenge_segment(work& shared, const std::shared_ptr<segment>& one,
                                             scavenge_rules& rules) {
    const auto next = parts_.segments.find(*parts_.segments.end_of(*one));
    const auto found =
        rewrite({.files = parts_.files,
                 .folder = parts_.folder,
                 .from = one,
                 .end = next->first(),
                 .last_chain = next->header().previous_chain,
                 .free_space_min = parts_.free_space_min,
                 .removes = [&](const record_view& record) { return rules.removes(record); },
                 .go_on = [&](std::uint64_t bytes) { return go_on(bytes); }});
    if (!found) {
        return fail(found.error());
    }
    IMMORTAL_ASSERT(next->first() <= shared.end);
    if (*found) {
        parts_.segments.replace((*found)->now);
        const std::lock_guard lock(mutex_);
        ++status_.segments_rewritten;
        status_.events_removed += (*found)->events_removed;
        status_.bytes_saved += (*found)->bytes_saved;
    }
    return {};
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
