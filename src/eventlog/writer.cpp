#include "eventlog/writer.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "eventlog/correlation.hpp"
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

void log_writer::run() {
    for (;;) {
        const bool closed = queue_.closed();
        auto group = queue_.take(patience);
        if (group.empty()) {
            if (closed) {
                if (state() != log_state::failed) { // else the index holds what may not be there
                    static_cast<void>(parts_.index.rest_at(tail_.durable_place()));
                }
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

void log_writer::process(std::vector<pending_append>& group) {
    std::size_t bytes = 0;
    for (const pending_append& item : group) {
        bytes += item.bytes;
    }
    if (state() != log_state::failed) {
        space_left(bytes);
    }
    auto room =
        state() == log_state::failed ? base::status{} : parts_.index.rest_at(tail_.durable_place());
    index_full_ = room ? std::nullopt : std::optional(std::move(room.error()));
    std::vector<answer> answers;
    answers.reserve(group.size());
    for (pending_append& item : group) {
        decide_one(item, answers);
    }
    commit(answers);
    IMMORTAL_ASSERT(staged_.empty() || state() == log_state::failed);
    forget_staged();
}

void log_writer::decide_one(pending_append& item, std::vector<answer>& answers) {
    const auto say = [&](base::result<append_outcome> outcome, bool staged = false) {
        answers.push_back({std::move(item.done), std::move(outcome), staged});
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
    if (state() != log_state::writable || !make_room(frame_size(item.writes), answers)) {
        return say(fail(refusal()));
    }
    say(stage(item.writes, std::move(*plan)), true);
}

append_outcome log_writer::stage(const std::vector<stream_write>& writes, append_plan plan) {
    const base::position begin = tail_.end();
    base::position at{begin.value + sizeof(format::frame_header)};
    const std::size_t before = entries_.size();
    tail_.stage(writes, plan.first, parts_.clock.now());
    for (std::size_t i = 0; i < writes.size(); ++i) {
        const stream_write& write = writes[i];
        for (std::size_t n = 0; n < write.events.size(); ++n) {
            const new_event& event = write.events[n];
            const base::revision revision{plan.first[i].value + n};
            std::string buffer;
            std::string_view correlation = correlation_of(event.metadata, buffer);
            if (!correlation.empty() && correlation.data() == buffer.data()) {
                correlation = correlations_.emplace_back(std::move(buffer));
            }
            entries_.push_back({write.stream, event.type, correlation, revision, at});
            entry_ids_.push_back(event.id);
            parts_.ids.add(write.stream, event.id, {revision, at});
            if (i == plan.outcome_write && n == plan.outcome_event) {
                plan.outcome.position = at;
            }
            at.value += sizeof(format::record_header) + write.stream.size() + event.type.size() +
                        event.metadata.size() + event.data.size();
        }
        if (!write.events.empty()) {
            note_staged(states_, write, plan.first[i]);
            if (is_metadata_stream(write.stream)) {
                changed_metadata_.emplace_back(described_stream(write.stream));
            }
        }
    }
    IMMORTAL_ASSERT(at == tail_.end());
    parts_.index.add(begin, std::span(entries_).subspan(before));
    staged_.push_back({begin, entries_.size() - before});
    return std::move(plan.outcome);
}

bool log_writer::make_room(std::uint64_t frame_bytes, std::vector<answer>& answers) {
    if (tail_.fits(frame_bytes)) {
        return true;
    }
    commit(answers);
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

void log_writer::commit(std::vector<answer>& answers) {
    if (state() == log_state::failed || !tail_.has_staged()) {
        return deliver(answers);
    }
    const auto began = parts_.clock.steady_now();
    const auto outcome = tail_.commit();
    if (outcome == log_tail::outcome::durable) {
        if (meters_) {
            const std::chrono::duration<double> took = parts_.clock.steady_now() - began;
            meters_->commit_seconds.observe(took.count());
            meters_->groups.add();
            meters_->events.add(static_cast<double>(entries_.size()));
            meters_->head.set(static_cast<double>(tail_.durable().value));
        }
        for (const std::string& stream : changed_metadata_) {
            parts_.reader.forget_metadata(stream);
        }
        forget_staged();
        parts_.index.made_durable(tail_.durable());
        parts_.published();
        return deliver(answers);
    }
    const bool full = outcome == log_tail::outcome::no_space;
    if (full) {
        take_back_index();
    }
    enter(full ? log_state::disk_full : log_state::failed);
    for (answer& each : answers) {
        if (each.staged) {
            each.outcome = full ? fail(refusal())
                                : fail(errc::unknown_outcome,
                                       "it is not known whether the events were written: repeat "
                                       "the same request to find out",
                                       "sync_failed");
        } else {
            // It may rest on events that are gone, or not known to be there.
            each.outcome = fail(refusal());
        }
    }
    deliver(answers);
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

void log_writer::take_back_index() {
    std::size_t end = entries_.size();
    for (auto frame = staged_.rbegin(); frame != staged_.rend(); ++frame) {
        parts_.index.take_back(frame->begin,
                               std::span(entries_).subspan(end - frame->entries, frame->entries));
        end -= frame->entries;
    }
    IMMORTAL_ASSERT(end == 0);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        parts_.ids.forget(entries_[i].stream, entry_ids_[i]);
    }
    states_.clear();
    forget_staged();
}

void log_writer::forget_staged() {
    staged_.clear();
    entries_.clear();
    entry_ids_.clear();
    correlations_.clear();
    changed_metadata_.clear();
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
