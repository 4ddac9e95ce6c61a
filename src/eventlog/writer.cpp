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

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

// How often an idle writer looks whether a full disk has space again.
constexpr std::chrono::milliseconds patience{500};
// How long it waits for more while a group is on its way, before it waits for that group.
constexpr std::chrono::milliseconds patience_in_flight{1};
constexpr std::uint64_t events_between_rests = 1u << 16u;

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
    if (meters_) {
        meters_->writable.set(1);
        meters_->head.set(static_cast<double>(tail_.durable().value));
    }
    helper_ = std::make_unique<helper_thread>();
    thread_ = std::thread([this] { run(); });
}

log_writer::~log_writer() {
    stop();
}

void log_writer::stop() {
    queue_.close();
    if (thread_.joinable()) {
        thread_.join();
    }
    state_.store(log_state::closed, std::memory_order_release);
}

void log_writer::append(std::vector<stream_write> writes, append_callback done) {
    if (auto valid = validate_append(writes); !valid) {
        done(fail(std::move(valid.error())));
        return;
    }
    pending_append item{std::move(writes), std::move(done), 0};
    const std::uint64_t bytes = frame_size(item.writes);
    if (bytes > format::frame_size_max) {
        item.done(fail(errc::too_large, "the append has too many events", "append_too_large"));
        return;
    }
    item.bytes = bytes;
    switch (queue_.push(item)) {
    case append_queue::push_outcome::taken:
        return;
    case append_queue::push_outcome::full:
        item.done(fail(errc::exhausted, "too many writes are waiting: try again a little later",
                       "queue_full"));
        return;
    case append_queue::push_outcome::closed:
        item.done(fail(errc::unavailable, "the event log is closing", "closing"));
        return;
    }
}

void log_writer::staged_group::clear() {
    entries.clear();
    frames.clear();
    ids.clear();
    correlations.clear();
    changed_metadata.clear();
    answers.clear();
    appends.clear();
}

void log_writer::run() {
    for (;;) {
        const bool closed = queue_.closed();
        auto group = queue_.take(flying_ ? patience_in_flight : patience);
        if (group.empty()) {
            settle();
            if (closed) {
                if (state() != log_state::failed) { // else the index holds what may not be there
                    static_cast<void>(parts_.index.rest_at(tail_.place()));
                }
                helper_.reset();
                return;
            }
            if (state() == log_state::disk_full) {
                space_left(0); // leaves that state when there is space again
            }
            continue;
        }
        process(group);
    }
}

// Lets the index close a part. Never while a group is on its way: it could still be taken back.
void log_writer::rest() {
    index_full_.reset();
    if (flying_ && since_rest_ < events_between_rests) {
        return;
    }
    settle();
    since_rest_ = 0;
    if (state() == log_state::failed) {
        return;
    }
    if (auto room = parts_.index.rest_at(tail_.place()); !room) {
        index_full_ = std::move(room.error());
        since_rest_ = events_between_rests; // ask again
    }
}

void log_writer::process(std::vector<pending_append>& group) {
    std::size_t bytes = 0;
    for (const pending_append& item : group) {
        bytes += item.bytes;
    }
    if (state() != log_state::failed) {
        space_left(bytes);
    }
    rest();
    staged_.answers.reserve(group.size());
    for (pending_append& item : group) {
        decide_one(item);
    }
    staged_.appends = std::move(group);
    commit(tail_.staged_bytes() >= parts_.settings.overlap_bytes_min ? pace::overlap : pace::wait);
    IMMORTAL_ASSERT(!tail_.has_staged() && staged_.answers.empty());
}

void log_writer::decide_one(pending_append& item) {
    const auto say = [&](base::result<append_outcome> outcome, bool staged = false) {
        staged_.answers.push_back({std::move(item.done), std::move(outcome), staged});
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
    auto verdict = decide_append(item.writes, views);
    if (!verdict) {
        return say(fail(std::move(verdict.error())));
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
    const base::position begin = tail_.end();
    base::position at{begin.value + sizeof(format::frame_header)};
    const std::size_t before = staged_.entries.size();
    tail_.stage(writes, plan.first, parts_.clock.now());
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
        parts_.ids.add(write.stream, event.id, {revision, at});
        if (i == plan.outcome_write && n == plan.outcome_event) {
            plan.outcome.position = at;
        }
        at.value += sizeof(format::record_header) + write.stream.size() + event.type.size() +
                    event.metadata.size() + event.data.size();
    });
    for (std::size_t i = 0; i < writes.size(); ++i) {
        const stream_write& write = writes[i];
        if (!write.events.empty()) {
            note_staged(states_, write, plan.first[i]);
            if (is_metadata_stream(write.stream)) {
                staged_.changed_metadata.emplace_back(described_stream(write.stream));
            }
        }
    }
    IMMORTAL_ASSERT(at == tail_.end());
    parts_.index.add(begin, std::span(staged_.entries).subspan(before));
    staged_.frames.push_back({begin, staged_.entries.size() - before});
    since_rest_ += staged_.entries.size() - before;
    return std::move(plan.outcome);
}

bool log_writer::make_room(std::uint64_t frame_bytes) {
    if (tail_.fits(frame_bytes)) {
        return true;
    }
    commit(pace::wait);
    if (state() != log_state::writable) {
        return false;
    }
    switch (tail_.roll(parts_.clock.now())) {
    case log_tail::outcome::durable:
        return true;
    case log_tail::outcome::no_space:
        enter(log_state::disk_full);
        return false;
    case log_tail::outcome::failed:
        enter(log_state::failed);
        return false;
    }
    return false;
}

void log_writer::commit(pace how) {
    settle();
    if (state() == log_state::failed || !tail_.has_staged()) {
        deliver(staged_.answers);
        staged_.clear();
        return;
    }
    tail_.launch();
    std::swap(staged_, launched_);
    flying_ = true;
    if (how == pace::overlap) {
        helper_->start([this] { commit_launched(); });
    } else {
        commit_launched();
        settle();
    }
}

void log_writer::commit_launched() {
    const auto began = parts_.clock.steady_now();
    launched_outcome_ = tail_.commit();
    if (launched_outcome_ != log_tail::outcome::durable) {
        return; // settle() has to look at what was staged since as well
    }
    const base::position end = parts_.head.end();
    if (meters_) {
        const std::chrono::duration<double> took = parts_.clock.steady_now() - began;
        meters_->commit_seconds.observe(took.count());
        meters_->groups.add();
        meters_->events.add(static_cast<double>(launched_.entries.size()));
        meters_->head.set(static_cast<double>(end.value));
    }
    for (const std::string& stream : launched_.changed_metadata) {
        parts_.reader.forget_metadata(stream);
    }
    parts_.index.made_durable(end);
    parts_.published(launched_.entries);
    deliver(launched_.answers);
    launched_.clear();
}

void log_writer::settle() {
    if (!flying_) {
        return;
    }
    helper_->wait();
    flying_ = false;
    tail_.land(launched_outcome_);
    if (launched_outcome_ == log_tail::outcome::durable) {
        return;
    }
    const bool full = launched_outcome_ == log_tail::outcome::no_space;
    if (full) {
        take_back(staged_);
        take_back(launched_);
        states_.clear();
    }
    enter(full ? log_state::disk_full : log_state::failed);
    for (answer& each : launched_.answers) {
        // What was not staged may rest on events that are gone, or not known to be there.
        each.outcome = each.staged && !full
                           ? fail(errc::unknown_outcome,
                                  "it is not known whether the events were written: repeat the "
                                  "same request to find out",
                                  "sync_failed")
                           : fail(refusal());
    }
    for (answer& each : staged_.answers) { // was not written, or rests on what was not
        each.outcome = fail(refusal());
        each.staged = false;
    }
    staged_.frames.clear();
    staged_.entries.clear();
    staged_.ids.clear();
    deliver(launched_.answers);
    launched_.clear();
}

void log_writer::deliver(std::vector<answer>& answers) {
    for (answer& each : answers) {
        if (meters_) {
            meters_->appends.add();
            if (!each.outcome) {
                meters_->refused.add();
            }
        }
        each.done(std::move(each.outcome));
    }
    answers.clear();
}

void log_writer::take_back(staged_group& group) {
    if (is_planted(planted_fault::keep_index_after_no_space)) {
        return;
    }
    std::size_t end = group.entries.size();
    for (auto frame = group.frames.rbegin(); frame != group.frames.rend(); ++frame) {
        parts_.index.take_back(
            frame->begin, std::span(group.entries).subspan(end - frame->entries, frame->entries));
        end -= frame->entries;
    }
    IMMORTAL_ASSERT(end == 0);
    for (std::size_t i = 0; i < group.entries.size(); ++i) {
        parts_.ids.forget(group.entries[i].stream, group.ids[i]);
    }
}

bool log_writer::space_left(std::uint64_t bytes) {
    const auto space = parts_.files.free_space(parts_.settings.folder);
    if (!space) {
        base::log_error("eventlog", "the free space is not known", {{"cause", space.error().text}});
        return true; // a write will tell
    }
    const bool enough = *space >= parts_.settings.free_space_min + bytes;
    enter(enough ? log_state::writable : log_state::disk_full);
    return enough;
}

base::error log_writer::refusal() const {
    if (state() == log_state::disk_full) {
        return {errc::exhausted, "the disk is nearly full: nothing was written; free some space",
                "disk_full"};
    }
    return {errc::unavailable, "the event log takes no writes since a write failed: restart it",
            "sync_failed"};
}

void log_writer::enter(log_state next) {
    const log_state before = state();
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
