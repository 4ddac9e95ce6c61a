#include "eventlog/log_tail.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/planted_fault.hpp"
#include "eventlog/segment_files.hpp"

#include <algorithm>

namespace immortal::eventlog {

log_tail::log_tail(const log_settings& settings, base::file_system& files, segment_list& segments,
                   recovered_log& from, durable_head& head)
    : settings_(settings), files_(files), segments_(segments), head_(head),
      anchor_(std::move(from.anchor)), current_(segments.last()), state_(from.state),
      staged_place_(state_.place()) {
    IMMORTAL_ASSERT(anchor_.state().end == state_.end && anchor_.state().chain == state_.chain);
    head_.move_to(state_.end, state_.events, state_.last_event);
}

bool log_tail::fits(std::uint64_t frame_bytes) const {
    return current_->offset_of(end()) + frame_bytes <= settings_.segment_size ||
           end() == current_->first_frame(); // larger than a segment: a segment of its own
}

base::position log_tail::stage(std::span<const stream_write> writes,
                               std::span<const base::revision> first_revisions,
                               base::utc_time now) {
    IMMORTAL_ASSERT(fits(frame_size(writes)));
    log_place& place = staged_place_;
    const log_place previous = place;
    place.last_created = std::max(place.last_created, now);
    const std::size_t before = staged_.size();
    if (before == 0) {
        staged_.begin_at(current_->offset_of(place.end));
        IMMORTAL_ASSERT(place.end.value == state_.end.value + submitted_.size());
    }
    place.last_event =
        write_frame(staged_, place.end, writes, first_revisions, place.last_created, place.chain);
    place.chain = hasher_.after(staged_.bytes().subspan(before));
    place.end.value += staged_.size() - before;
    IMMORTAL_ASSERT(place.last_event > previous.end && place.last_event < place.end);
    IMMORTAL_ASSERT(place.chain != previous.chain);
    IMMORTAL_ASSERT(place.last_created >= previous.last_created);
    for (const stream_write& write : writes) {
        place.events += write.events.size();
    }
    return place.last_event;
}

base::result<record_view> log_tail::staged_record(base::position at) const {
    IMMORTAL_ASSERT(at >= state_.end && at < end());
    const base::position staged_begin{end().value - staged_.size()};
    const bool submitted = at < staged_begin;
    const auto bytes = submitted ? submitted_.bytes().subspan(at.value - state_.end.value)
                                 : staged_.bytes().subspan(at.value - staged_begin.value);
    record_view record;
    const auto outcome = parse_record(bytes, at, record);
    // Its position, lengths and checksum are those that write_frame gave it.
    IMMORTAL_ASSERT(outcome == parse_outcome::good && record.position == at);
    IMMORTAL_ASSERT(submitted ? record.end() <= staged_begin : record.end() <= end());
    return record;
}

bool log_tail::durable_agrees() const {
    return anchor_.state().event_count == state_.events && anchor_.state().chain == state_.chain &&
           (anchor_.state().end == state_.end || durable_is_new_segment());
}

void log_tail::submit() {
    IMMORTAL_ASSERT(has_staged() && submitted_.size() == 0);
    IMMORTAL_ASSERT(staged_place_.end.value == state_.end.value + staged_.size());
    IMMORTAL_ASSERT(staged_place_.events > state_.events);
    std::swap(staged_, submitted_);
    submitted_place_ = staged_place_;
}

log_tail::outcome log_tail::commit() {
    IMMORTAL_ASSERT(submitted_.size() > 0 && submitted_place_.events > state_.events);
    IMMORTAL_ASSERT(state_.end.value + submitted_.size() == submitted_place_.end.value);
    IMMORTAL_ASSERT(is_planted(planted_fault::publish_before_durable) || durable_agrees());
    base::file& file = current_->contents();
    const std::uint64_t offset = current_->offset_of(state_.end);
    const auto bytes = submitted_.bytes();
    const auto written = bytes.size() < settings_.uncached_bytes_min
                             ? file.write_at(offset, bytes)
                             : file.write_uncached_at(offset, bytes);
    if (!written) {
        base::log_error("eventlog", "a write failed", {{"cause", written.error().text}});
        return written.error().what == base::file_error::kind::no_space ? roll_back_write()
                                                                        : outcome::failed;
    }
    if (is_planted(planted_fault::publish_before_durable)) {
        head_.move_to(submitted_place_.end, submitted_place_.events, submitted_place_.last_event);
    }
    const bool unsynced = is_planted(planted_fault::acknowledge_before_sync);
    if (const auto synced = unsynced ? base::file_status{} : file.sync();
        !synced && !is_planted(planted_fault::go_on_after_failed_sync)) {
        base::log_error("eventlog", "a sync failed; the log takes no more writes until a restart",
                        {{"cause", synced.error().text}});
        return outcome::failed;
    }
    anchor_state next = anchor_.state();
    next.segment = current_->number();
    next.end = submitted_place_.end;
    next.event_count = submitted_place_.events;
    next.last_event = submitted_place_.last_event;
    next.chain = submitted_place_.chain;
    if (const auto stored = anchor_.store(next); !stored) {
        base::log_error("eventlog",
                        "the head anchor could not be written; the log takes no more writes until "
                        "a restart",
                        {{"cause", stored.error().text}});
        return outcome::failed;
    }
    IMMORTAL_ASSERT(anchor_.state().end == next.end && anchor_.state().chain == next.chain);
    IMMORTAL_ASSERT(is_planted(planted_fault::publish_before_durable) || head_.end() < next.end);
    head_.move_to(next.end, next.event_count, next.last_event);
    return outcome::durable;
}

// A full disk took a part of the group at most: the part is removed, and the log is as before.
log_tail::outcome log_tail::roll_back_write() {
    base::file& file = current_->contents();
    auto done = file.truncate(current_->offset_of(state_.end));
    done = done ? file.sync() : done;
    if (!done) {
        base::log_error("eventlog", "a partial write could not be rolled back",
                        {{"cause", done.error().text}});
        return outcome::failed;
    }
    return outcome::no_space;
}

void log_tail::complete(outcome how) {
    IMMORTAL_ASSERT(submitted_.size() > 0);
    submitted_.clear();
    if (how == outcome::durable) {
        state_.move_to(submitted_place_);
        IMMORTAL_ASSERT(durable_agrees() && head_.end() == state_.end);
        return;
    }
    staged_.clear();
    staged_place_ = state_.place();
    IMMORTAL_ASSERT(!has_staged() && end() == state_.end);
}

log_tail::outcome log_tail::roll(base::utc_time now) {
    IMMORTAL_ASSERT(!has_staged() && submitted_.size() == 0);
    scan_state next = state_;
    next.next_segment = current_->number() + 1;
    auto made = create_segment(files_, settings_.folder, next, identity().epoch, now);
    if (!made) {
        base::log_error("eventlog", "the next segment could not be made",
                        {{"cause", made.error().text}});
        // The file, if any, is replaced by the next attempt, or set aside by the next start.
        switch (made.error().what) {
        case base::file_error::kind::no_space:
            return outcome::no_space;
        case base::file_error::kind::too_many_open:
            return outcome::no_descriptor;
        default:
            return outcome::failed;
        }
    }
    current_ = std::move(*made);
    IMMORTAL_ASSERT(current_->number() == next.next_segment);
    IMMORTAL_ASSERT(current_->first() == state_.end);
    segments_.add(current_);
    state_.end = current_->first_frame();
    staged_place_.end = state_.end;
    state_.next_segment = current_->number() + 1;
    return outcome::durable;
}

} // namespace immortal::eventlog
