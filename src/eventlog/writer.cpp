#include "eventlog/writer.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "eventlog/append_order.hpp"
#include "eventlog/correlation.hpp"
#include "eventlog/planted_fault.hpp"
#include "eventlog/stream_metadata.hpp"
#include "eventlog/writer_facts.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

// How often an idle writer looks whether the disk is full, or has space again.
constexpr std::chrono::milliseconds patience{500};
// How long it waits for more while a group is on its way, before it waits for that group.
constexpr std::chrono::milliseconds patience_in_flight{1};
constexpr std::uint64_t events_between_checkpoints = 1u << 16u;
// Where a caller asks for a limit beyond this, there is none.
constexpr std::chrono::hours limit_max{24 * 365};

base::steady_time deadline_of(base::steady_time now, std::chrono::milliseconds limit) {
    return limit > limit_max ? base::steady_time::max() : now + limit;
}

// What an append holds in memory while it waits.
std::size_t memory_of(const std::vector<stream_write>& writes, std::size_t frame_bytes) {
    std::size_t bytes = frame_bytes + writes.size() * sizeof(stream_write);
    for (const stream_write& write : writes) {
        bytes += write.events.size() * sizeof(new_event);
    }
    return bytes;
}

base::error too_many_events(std::size_t events_max) {
    return {errc::too_large,
            "an append has at most " + std::to_string(events_max) +
                " events (event_log.append_events_max): divide it",
            "append_too_large", "events"};
}

base::error frame_too_large(std::size_t bytes_max) {
    return {errc::too_large,
            "an append has at most " + std::to_string(bytes_max) +
                " bytes in the log, with a header and the stream name for each event "
                "(event_log.append_bytes_max): divide it",
            "append_too_large", "events"};
}

} // namespace

struct log_writer::meters {
    explicit meters(base::metrics& to)
        : events(to.make_counter("immortal_eventlog_events_total", "Events written")),
          appends(to.make_counter("immortal_eventlog_appends_total", "Appends answered")),
          refused(to.make_counter("immortal_eventlog_appends_refused_total",
                                  "Appends that were answered with an error")),
          groups(to.make_counter("immortal_eventlog_groups_total",
                                 "Groups of appends that were made durable together")),
          commit_seconds(to.make_histogram("immortal_eventlog_commit_seconds",
                                           "Time to write and sync one group and the head anchor",
                                           base::metrics::latency_bounds())),
          head(to.make_gauge("immortal_eventlog_durable_bytes", "Durable end of the log")),
          writable(to.make_gauge("immortal_eventlog_writable", "1 while the log takes writes")) {}
    base::counter events;
    base::counter appends;
    base::counter refused;
    base::counter groups;
    base::histogram commit_seconds;
    base::gauge head;
    base::gauge writable;
};

log_writer::log_writer(parts given, recovered_log& from)
    : parts_(std::move(given)),
      tail_(parts_.settings, parts_.files, parts_.segments, from, parts_.head),
      queue_(parts_.settings), states_(parts_.settings.known_streams), identity_(tail_.identity()),
      meters_(parts_.metrics == nullptr ? nullptr : std::make_unique<meters>(*parts_.metrics)) {
    IMMORTAL_ASSERT(parts_.published != nullptr);
    IMMORTAL_ASSERT(parts_.head.end() == tail_.durable());
    if (meters_) {
        meters_->writable.set(1);
        meters_->head.set(static_cast<double>(tail_.durable().value));
    }
    deadlines_ = std::make_unique<append_deadlines>(queue_, parts_.clock, parts_.metrics);
    helper_ = std::make_unique<helper_thread>();
    check_means(0); // so that state() is right from the beginning
    thread_ = std::thread([this] { run(); });
}

log_writer::~log_writer() {
    stop();
}

void log_writer::stop() {
    queue_.close();
    if (thread_.joinable()) {
        thread_.join();
        IMMORTAL_ASSERT(staged_.empty() && submitted_.empty() && !in_flight_);
    }
    deadlines_->stop();
    state_.store(log_state::closed, std::memory_order_release);
}

base::status log_writer::admit(const std::vector<stream_write>& writes,
                               pending_append& item) const {
    if (auto valid = validate_append(writes); !valid) {
        return valid;
    }
    std::size_t events = 0;
    for (const stream_write& write : writes) {
        events += write.events.size();
    }
    item.frame_bytes = frame_size(writes);
    item.memory_bytes = memory_of(writes, item.frame_bytes);
    const log_settings& settings = parts_.settings;
    if (events > settings.append_events_max) {
        return fail(too_many_events(settings.append_events_max));
    }
    if (item.frame_bytes > settings.append_frame_size_max) {
        return fail(frame_too_large(settings.append_frame_size_max));
    }
    return {};
}

void log_writer::append(std::vector<stream_write> writes, append_callback callback,
                        append_terms terms) {
    pending_append item;
    if (auto admitted = admit(writes, item); !admitted) {
        callback(fail(std::move(admitted.error())));
        return;
    }
    if (terms.limit.count() <= 0) {
        callback(fail(withdrawn_error()));
        return;
    }
    item.writes = std::move(writes);
    item.ticket = std::make_shared<append_ticket>(
        std::move(callback), deadline_of(parts_.clock.steady_now(), terms.limit));
    item.charge = std::move(terms.charge);
    item.unmet = std::move(terms.unmet);
    const auto pushed = queue_.push(item);
    if (pushed == append_queue::push_outcome::taken) {
        return;
    }
    const auto ticket = std::move(item.ticket);
    item = {};
    if (pushed == append_queue::push_outcome::full) {
        ticket->answer(fail(errc::exhausted,
                            "too many writes are waiting: try again a little later", "queue_full"));
    } else {
        ticket->answer(fail(errc::unavailable, "the event log is closing", "closing"));
    }
}

void log_writer::run() {
    for (;;) {
        const bool closed = queue_.closed();
        auto appends = queue_.take(in_flight_ ? patience_in_flight : patience);
        if (!appends.empty()) {
            process(std::move(appends));
            continue;
        }
        await_commit();
        if (closed) {
            if (state() != log_state::failed) { // else the index holds what may not be there
                static_cast<void>(parts_.index.rest_at(tail_.place()));
            }
            helper_.reset();
            return;
        }
        static_cast<void>(parts_.clock.now()); // notices a jump of the clock
        check_means(0);
    }
}

void log_writer::checkpoint() {
    index_full_.reset();
    if (in_flight_ && since_checkpoint_ < events_between_checkpoints) {
        return;
    }
    await_commit();
    IMMORTAL_ASSERT(!in_flight_ && !tail_.has_staged());
    since_checkpoint_ = 0;
    if (state() == log_state::failed) {
        return;
    }
    if (auto room = parts_.index.rest_at(tail_.place()); !room) {
        index_full_ = std::move(room.error());
        since_checkpoint_ = events_between_checkpoints; // ask again
    }
}

void log_writer::process(std::vector<pending_append> appends) {
    IMMORTAL_ASSERT(staged_.empty() && !tail_.has_staged());
    std::size_t bytes = 0;
    for (const pending_append& item : appends) {
        bytes += item.frame_bytes;
    }
    check_means(bytes);
    checkpoint();
    staged_.answers.reserve(appends.size());
    for (pending_append& item : appends) {
        decide_one(item);
    }
    staged_.appends = std::move(appends);
    commit(tail_.staged_bytes() >= parts_.settings.overlap_bytes_min ? pace::overlap : pace::wait);
    IMMORTAL_ASSERT(!tail_.has_staged() && staged_.empty());
}

void log_writer::decide_one(pending_append& item) {
    const auto say = [&](base::result<append_outcome> outcome, bool staged = false) {
        staged_.answers.push_back({item.ticket, std::move(outcome), staged});
    };
    if (state() == log_state::failed) {
        return say(fail(refusal()));
    }
    writer_sources sources{parts_.index, parts_.reader, parts_.ids, tail_, states_};
    std::vector<writer_facts> streams;
    std::vector<stream_facts*> views;
    streams.reserve(item.writes.size());
    for (const stream_write& write : item.writes) {
        streams.emplace_back(sources, write.stream);
        views.push_back(&streams.back());
        if (!streams.back().problem()) {
            return say(fail(streams.back().problem().error()));
        }
    }
    auto verdict = decide_append(item.writes, views, item.unmet.get());
    if (!verdict) {
        return say(fail(std::move(verdict.error())));
    }
    for (const writer_facts& facts : streams) {
        if (!facts.problem()) {
            return say(fail(facts.problem().error()));
        }
    }
    if (!verdict->write) {
        return say(std::move(verdict->outcome));
    }
    if (index_full_) {
        return say(fail(*index_full_));
    }
    auto plan = plan_append(item.writes, views);
    if (!plan) {
        return say(fail(std::move(plan.error())));
    }
    // Making room may commit what the decision rests on; if that fails, so does this.
    if (state() != log_state::writable || !make_room(frame_size(item.writes))) {
        return say(fail(refusal()));
    }
    say(stage(item.writes, std::move(*plan)), true);
}

append_outcome log_writer::stage(const std::vector<stream_write>& writes, append_plan plan) {
    IMMORTAL_ASSERT(state() == log_state::writable);
    IMMORTAL_ASSERT(plan.first.size() == writes.size());
    const base::position begin = tail_.end();
    tail_.stage(writes, plan.first, parts_.clock.now());
    note_frame(writes, plan, begin);
    for (std::size_t i = 0; i < writes.size(); ++i) {
        const stream_write& write = writes[i];
        if (!write.events.empty()) {
            note_staged(states_, write, plan.first[i]);
            if (is_metadata_stream(write.stream)) {
                staged_.changed_metadata.emplace_back(described_stream(write.stream));
            }
        }
    }
    return std::move(plan.outcome);
}

void log_writer::note_frame(const std::vector<stream_write>& writes, append_plan& plan,
                            base::position begin) {
    base::position at{begin.value + sizeof(format::frame_header)};
    const std::size_t before = staged_.entries.size();
    visit_in_order(writes, [&](std::size_t i, std::size_t n) {
        const stream_write& write = writes[i];
        const new_event& event = write.events[n];
        const base::revision revision{plan.first[i].value + n};
        std::string buffer;
        std::string_view correlation = correlation_of(event.metadata, buffer);
        if (!correlation.empty() && correlation.data() == buffer.data()) {
            correlation = staged_.correlations.emplace_back(std::move(buffer));
        }
        staged_.entries.push_back({write.stream, event.type, correlation, revision, at});
        staged_.ids.push_back(event.id);
        staged_.earlier_events.push_back(parts_.ids.add(write.stream, event.id, {revision, at}));
        if (i == plan.outcome_write && n == plan.outcome_event) {
            plan.outcome.position = at;
        }
        at.value += encoded_size(write.stream.size(), event);
    });
    IMMORTAL_ASSERT(at == tail_.end());
    IMMORTAL_ASSERT(plan.outcome.position > begin && plan.outcome.position < tail_.end());
    const std::size_t added = staged_.entries.size() - before;
    parts_.index.add(begin, std::span(staged_.entries).subspan(before));
    staged_.frames.push_back({begin, added});
    since_checkpoint_ += added;
}

bool log_writer::make_room(std::uint64_t frame_bytes) {
    if (tail_.fits(frame_bytes)) {
        return true;
    }
    commit(pace::wait);
    if (state() != log_state::writable) {
        return false;
    }
    IMMORTAL_ASSERT(!in_flight_ && !tail_.has_staged());
    switch (tail_.roll(parts_.clock.now())) {
    case log_tail::outcome::durable:
        IMMORTAL_ASSERT(tail_.fits(frame_bytes)); // a large frame has a segment of its own
        return true;
    case log_tail::outcome::no_space:
        enter(log_state::disk_full);
        return false;
    case log_tail::outcome::no_descriptor: // the next append tries again
        return false;
    case log_tail::outcome::failed:
        enter(log_state::failed);
        return false;
    }
    return false;
}

void log_writer::commit(pace how) {
    await_commit();
    IMMORTAL_ASSERT(!in_flight_ && submitted_.empty());
    if (state() == log_state::failed || !tail_.has_staged()) {
        IMMORTAL_ASSERT(!tail_.has_staged()); // nothing is staged on a log that failed
        deliver(staged_.answers);
        staged_.clear();
        return;
    }
    staged_.check();
    IMMORTAL_ASSERT(staged_.frames.front().begin == tail_.durable());
    tail_.submit();
    std::swap(staged_, submitted_);
    in_flight_ = true;
    if (how == pace::overlap) {
        helper_->start([this] { commit_submitted(); });
    } else {
        commit_submitted();
        await_commit();
    }
}

void log_writer::commit_submitted() {
    const base::position before = parts_.head.end();
    const auto began = parts_.clock.steady_now();
    submitted_outcome_ = tail_.commit();
    if (submitted_outcome_ != log_tail::outcome::durable) {
        return; // await_commit() has to look at what was staged since as well
    }
    const base::position end = parts_.head.end();
    IMMORTAL_ASSERT(end > before && end > submitted_.entries.back().position);
    if (meters_) {
        const std::chrono::duration<double> took = parts_.clock.steady_now() - began;
        meters_->commit_seconds.observe(took.count());
        meters_->groups.add();
        meters_->events.add(static_cast<double>(submitted_.entries.size()));
        meters_->head.set(static_cast<double>(end.value));
    }
    for (const std::string& stream : submitted_.changed_metadata) {
        parts_.reader.forget_metadata(stream);
    }
    parts_.index.made_durable(end);
    parts_.published(submitted_.entries);
    deliver(submitted_.answers);
    submitted_.clear();
}

void log_writer::await_commit() {
    if (!in_flight_) {
        return;
    }
    helper_->wait();
    in_flight_ = false;
    tail_.complete(submitted_outcome_);
    if (submitted_outcome_ != log_tail::outcome::durable) {
        fail_groups(submitted_outcome_);
    }
    IMMORTAL_ASSERT(submitted_.empty());
    IMMORTAL_ASSERT(state() == log_state::failed || parts_.head.end() == tail_.durable() ||
                    tail_.durable_is_new_segment());
}

void log_writer::fail_groups(log_tail::outcome how) {
    const bool full = how == log_tail::outcome::no_space;
    if (full) {
        staged_.roll_back(parts_.index, parts_.ids);
        submitted_.roll_back(parts_.index, parts_.ids);
        states_.clear();
    }
    enter(full ? log_state::disk_full : log_state::failed);
    for (auto& each : submitted_.answers) {
        // What was not staged may rest on events that are gone, or not known to be there.
        each.outcome = each.staged && !full
                           ? fail(errc::unknown_outcome,
                                  "it is not known whether the events were written: repeat the "
                                  "same request to find out",
                                  "sync_failed")
                           : fail(refusal());
    }
    for (auto& each : staged_.answers) { // was not written, or rests on what was not
        each.outcome = fail(refusal());
    }
    staged_.forget_frames();
    deliver(submitted_.answers);
    submitted_.clear();
}

// Invariant 3: what these rest on is durable, or they say that it is not.
void log_writer::deliver(std::vector<append_group::answer>& answers) {
    for (auto& each : answers) {
        IMMORTAL_ASSERT(!each.staged || !each.outcome ||
                        each.outcome->position < parts_.head.end());
        if (meters_) {
            meters_->appends.add();
            if (!each.outcome) {
                meters_->refused.add();
            }
        }
        each.ticket->answer(std::move(each.outcome));
    }
    answers.clear();
}

void log_writer::check_means(std::uint64_t bytes) {
    parts_.files.restore_reserve();
    if (state() == log_state::failed) {
        return;
    }
    const auto space = parts_.files.free_space(parts_.settings.folder);
    if (!space) { // the state stays: if it is writable, a write will tell
        if (std::exchange(space_known_, false)) {
            base::log_error("eventlog", "the free space is not known",
                            {{"cause", space.error().text}});
        }
        return;
    }
    space_known_ = true;
    const bool enough = *space >= parts_.settings.free_space_min + bytes;
    enter(enough ? log_state::writable : log_state::disk_full);
}

base::error log_writer::refusal() const {
    if (state() == log_state::writable) { // the next segment could not be made
        return base::to_error({base::file_error::kind::too_many_open, {}});
    }
    if (state() == log_state::disk_full) {
        return {errc::exhausted, "the disk is nearly full: nothing was written; free some space",
                "disk_full"};
    }
    return {errc::unavailable, "the event log takes no writes since a write failed: restart it",
            "sync_failed"};
}

void log_writer::enter(log_state next) {
    const log_state before = state();
    IMMORTAL_ASSERT(next != log_state::closed && before != log_state::closed);
    if (before == next || before == log_state::failed) {
        return;
    }
    state_.store(next, std::memory_order_release);
    if (meters_) {
        meters_->writable.set(next == log_state::writable ? 1 : 0);
    }
    if (next == log_state::writable) {
        base::log_info("eventlog", "there is space again: writes are taken");
    } else {
        base::log_error("eventlog", next == log_state::disk_full
                                        ? "the disk is nearly full: writes are refused"
                                        : "writes are refused until a restart");
    }
}

} // namespace immortal::eventlog
