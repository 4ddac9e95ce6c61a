#include "eventlog/log_tail.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/segment_files.hpp"

#include <algorithm>

namespace immortal::eventlog {

log_tail::log_tail(const log_settings& settings, base::file_system& files, segment_list& segments,
                   recovered_log& from, durable_head& head)
    : settings_(settings), files_(files), segments_(segments), head_(head),
      anchor_(std::move(from.anchor)), current_(segments.last()), state_(from.state),
      staged_chain_(state_.chain), staged_created_(state_.last_created) {
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
    staged_created_ = std::max(staged_created_, now);
    const base::position begin = end();
    const std::size_t before = staged_.size();
    staged_last_event_ =
        write_frame(staged_, begin, writes, first_revisions, staged_created_, staged_chain_);
    staged_chain_ = hasher_.after(staged_.bytes().subspan(before));
    for (const stream_write& write : writes) {
        staged_events_ += write.events.size();
    }
    return staged_last_event_;
}

base::result<record_view> log_tail::staged_record(base::position at) const {
    IMMORTAL_ASSERT(at >= state_.end && at < end());
    record_view record;
    const auto outcome =
        parse_record(staged_.bytes().subspan(at.value - state_.end.value), at, record);
    IMMORTAL_ASSERT(outcome == parse_outcome::good);
    return record;
}

log_tail::outcome log_tail::commit() {
    IMMORTAL_ASSERT(has_staged() && staged_events_ > 0);
    base::file& file = current_->contents();
    const auto written = file.write_at(current_->offset_of(state_.end), staged_.bytes());
    if (!written) {
        base::log_error("eventlog", "a write failed", {{"cause", written.error().text}});
        return written.error().what == base::file_error::kind::no_space ? take_back_write()
                                                                        : outcome::failed;
    }
    if (const auto synced = file.sync(); !synced) {
        base::log_error("eventlog", "a sync failed; the log takes no more writes until a restart",
                        {{"cause", synced.error().text}});
        return outcome::failed;
    }
    anchor_state next = anchor_.state();
    next.segment = current_->number();
    next.end = end();
    next.event_count = state_.events + staged_events_;
    next.last_event = staged_last_event_;
    next.chain = staged_chain_;
    if (const auto stored = anchor_.store(next); !stored) {
        base::log_error("eventlog",
                        "the head anchor could not be written; the log takes no more writes until "
                        "a restart",
                        {{"cause", stored.error().text}});
        return outcome::failed;
    }
    state_.end = next.end;
    state_.events = next.event_count;
    state_.last_event = next.last_event;
    state_.chain = next.chain;
    state_.last_created = staged_created_;
    staged_.clear();
    staged_events_ = 0;
    head_.move_to(state_.end, state_.events, state_.last_event);
    return outcome::durable;
}

// A full disk took a part of the group at most: the part is removed, and the log is as before.
log_tail::outcome log_tail::take_back_write() {
    base::file& file = current_->contents();
    auto done = file.truncate(current_->offset_of(state_.end));
    done = done ? file.sync() : done;
    if (!done) {
        base::log_error("eventlog", "a partial write could not be taken back",
                        {{"cause", done.error().text}});
        return outcome::failed;
    }
    staged_.clear();
    staged_events_ = 0;
    staged_chain_ = state_.chain;
    staged_created_ = state_.last_created;
    return outcome::no_space;
}

log_tail::outcome log_tail::roll(base::utc_time now) {
    IMMORTAL_ASSERT(!has_staged());
    scan_state next = state_;
    next.next_segment = current_->number() + 1;
    auto made = create_segment(files_, settings_.folder, next, identity().epoch, now);
    if (!made) {
        base::log_error("eventlog", "the next segment could not be made",
                        {{"cause", made.error().text}});
        // The file, if any, is replaced by the next attempt, or set aside by the next start.
        return made.error().what == base::file_error::kind::no_space ? outcome::no_space
                                                                     : outcome::failed;
    }
    current_ = std::move(*made);
    segments_.add(current_);
    state_.end = current_->first_frame();
    state_.next_segment = current_->number() + 1;
    return outcome::durable;
}

} // namespace immortal::eventlog
