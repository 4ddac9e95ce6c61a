#include "eventlog/recovery_scan.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/correlation.hpp"
#include "eventlog/planted_fault.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace immortal::eventlog {
namespace {

using base::fail;

std::unexpected<base::error> environment(const base::file_error& problem) {
    base::log_error("eventlog", "the log could not be opened", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

// So many of the newest closed segments are read at their end when the log is opened; of the others
// place and length are checked, and what stands in them when it is read.
constexpr std::uint32_t sealed_checks_max = 64;

// A fault planted for a test lets a log be taken for sound whose chain missed the anchor.
bool misses_are_planted() {
    return is_planted(planted_fault::trust_contents) || is_planted(planted_fault::trust_length);
}

} // namespace

recovery_scan::recovery_scan(parts given, const anchor_state& anchor,
                             std::span<const std::uint32_t> present, index_use use)
    : parts_(given), anchor_(anchor), present_(present), use_(use),
      segments_(std::make_unique<segment_list>(parts_.files, parts_.settings.folder,
                                               parts_.settings.open_segments_max)) {
    IMMORTAL_ASSERT(std::ranges::is_sorted(present));
    state_.log_id = anchor.log.id;
    state_.chain = hasher_.genesis(anchor.log.id);
    if (use == index_use::go_on) {
        choose_start();
    }
}

// The frames after the index's last place are read, and as many before it as hold the ids to be
// remembered.
void recovery_scan::choose_start() {
    const std::uint64_t remembered = parts_.settings.remembered_ids;
    for (const log_place& place : parts_.index.kept()) {
        index_place_ = place;
        phase_ = phase_ == phase::skipping ? phase_ : phase::indexed;
        if (place.events + remembered <= anchor_.event_count || remembered == 0) {
            start_ = place;
            phase_ = phase::skipping;
        }
    }
}

void recovery_scan::enter(phase next) {
    IMMORTAL_ASSERT(next > phase_);
    IMMORTAL_ASSERT(next != phase::torn || phase_ == phase::tail || misses_are_planted());
    phase_ = next;
}

// The chain leads to `place` with this value, over so many events.
void recovery_scan::reach(base::position place, const base::digest256& chain,
                          std::uint64_t events) {
    IMMORTAL_ASSERT(phase_ != phase::skipping && phase_ != phase::torn);
    if (phase_ == phase::indexed && place == index_place_->end && chain == index_place_->chain &&
        events == index_place_->events) {
        enter(phase::fresh);
    }
    if (phase_ == phase::fresh && place == anchor_.end && chain == anchor_.chain &&
        events == anchor_.event_count) {
        enter(phase::tail);
    }
}

// Reading begins here: what the index says of the place is taken over, and stands or falls with
// the chain from here to the anchor.
void recovery_scan::leave_skipping() {
    IMMORTAL_ASSERT(phase_ == phase::skipping);
    state_.move_to(start_);
    enter(phase::indexed);
    reach(state_.end, state_.chain, state_.events);
}

base::result<std::optional<std::string>> recovery_scan::run() {
    if (index_place_ && index_place_->end > anchor_.end) {
        return std::optional<std::string>("the index knows more than the log holds");
    }
    told_ = parts_.clock.steady_now();
    for (std::uint32_t number = 0; phase_ != phase::torn; ++number) {
        const bool is_present = std::ranges::binary_search(present_, number);
        if (!is_present && number <= anchor_.segment) {
            return std::optional(format::segment_name(number) + " is missing");
        }
        if (!is_present) {
            break;
        }
        const auto fault = scan_segment(number);
        if (!fault) {
            return fail(fault.error());
        }
        if (*fault && (*fault)->at < anchor_.end) {
            return std::optional(fmt::format("{} is damaged at offset {}: {}",
                                             format::segment_name(number), (*fault)->offset,
                                             (*fault)->what));
        }
        if (*fault && phase_ < phase::tail && !misses_are_planted()) {
            break; // the chain missed the anchor: check_end says so
        }
        if (*fault) {
            torn_ = torn_tail{number, (*fault)->at, (*fault)->offset, (*fault)->what};
            enter(phase::torn);
        }
        tell_progress(number);
    }
    return check_end();
}

void recovery_scan::tell_progress(std::uint32_t number) {
    const auto now = parts_.clock.steady_now();
    if (now - told_ > std::chrono::seconds(2)) {
        told_ = now;
        base::log_info("eventlog", "the log is being read to fill its index",
                       {{"segment", number},
                        {"of", anchor_.segment},
                        {"events", state_.events},
                        {"of_events", anchor_.event_count}});
    }
}

recovery_scan::fault_or_none recovery_scan::scan_segment(std::uint32_t number) {
    IMMORTAL_ASSERT(state_.next_segment == number && phase_ != phase::torn);
    auto walk = segment_walk::open(parts_.files, parts_.settings.folder, number,
                                   base::open_mode::read_write);
    if (!walk) {
        return environment(walk.error());
    }
    if (phase_ == phase::skipping && start_.end == state_.end && number > 0) {
        leave_skipping();
    }
    const base::position begin = state_.end;
    const bool skips = phase_ == phase::skipping;
    auto entered =
        walk->enter(state_, skips && number > 0 ? chain_check::unknown : chain_check::continues);
    if (!entered) {
        return environment(entered.error());
    }
    if (*entered) {
        return std::move(*entered);
    }
    const std::shared_ptr<segment> now = walk->entered();
    IMMORTAL_ASSERT(now->first() == begin);
    if (auto sealed = check_sealed(*now); !sealed || *sealed) {
        return sealed;
    }
    segments_->add(now);
    const base::position end{begin.value + walk->size()};
    if (skips && start_.end >= end && end < anchor_.end) {
        IMMORTAL_ASSERT(end > begin && phase_ == phase::skipping);
        state_.end = end;
        state_.next_segment = number + 1;
        skipped_ = now;
        return std::optional<scan_fault>();
    }
    auto fault = read_frames(*walk);
    IMMORTAL_ASSERT(!fault || *fault || (state_.end == end && state_.next_segment == number + 1));
    return fault;
}

// A segment that was not read must stand in its place, have its length, and end with the frame that
// the next one continues.
recovery_scan::fault_or_none recovery_scan::check_sealed(const segment& next) {
    const std::shared_ptr<segment> before = std::exchange(skipped_, nullptr);
    if (!before || next.number() + sealed_checks_max <= anchor_.segment) {
        return std::optional<scan_fault>();
    }
    IMMORTAL_ASSERT(before->number() + 1 == next.number() && before->first() < next.first());
    const auto sealed = ends_as_sealed(*before, next.first(), next.header().previous_chain);
    if (!sealed) {
        return fail(sealed.error());
    }
    return *sealed ? std::optional<scan_fault>()
                   : scan_fault{before->first(), 0,
                                before->name() + " does not end as this segment says it does"};
}

base::result<bool> recovery_scan::ends_as_sealed(const segment& one, base::position end,
                                                 const base::digest256& sealed) {
    if (one.scavenged()) {
        return one.header().last_chain == sealed;
    }
    // Without an answer of the index, which may be damaged, the whole segment is read.
    const auto known = parts_.index.frame_before({end.value - 1}, end);
    const base::position begin = std::max(known.value_or(base::position{}), one.first_frame());
    base::digest256 chain = one.header().previous_chain;
    bool follows = true;
    const auto walked = walk_frames(
        one, begin, end,
        [&](const frame_view& frame) {
            follows = frame.begin() == begin && begin != one.first_frame()
                          ? follows // the first one that is read says what came before it
                          : frame.header.previous_chain == chain;
            chain = hasher_.after(frame.bytes);
            return follows ? walk_step::go_on : walk_step::stop;
        },
        1u << 20u);
    if (!walked) {
        return environment(walked.error());
    }
    return !*walked && follows && chain == sealed;
}

recovery_scan::fault_or_none recovery_scan::read_frames(segment_walk& walk) {
    const segment& now = *walk.entered();
    scan_visitor visit;
    visit.frame = [&](const frame_view& frame) { take_frame(frame); };
    visit.record = [&](const record_view& record) { take_record(record); };
    base::file_result<std::optional<scan_fault>> scanned;
    if (phase_ == phase::skipping) { // the start lies in this segment, or nowhere
        if (start_.end < now.first_frame() || start_.end.value > now.first().value + walk.size()) {
            return std::optional(scan_fault{state_.end, 0, "it ends before the index does"});
        }
        leave_skipping();
        state_.next_segment = now.number() + 1;
        scanned = resume_scan(now, walk.size(), state_, hasher_, visit);
    } else {
        scanned = walk.scan(walk.size(), state_, hasher_, visit);
    }
    if (!scanned) {
        return environment(scanned.error());
    }
    reach(state_.end, state_.chain, state_.events);
    return std::move(*scanned);
}

void recovery_scan::take_frame(const frame_view& frame) {
    IMMORTAL_ASSERT(frame.begin() == state_.end && frame_.begin <= frame.begin());
    reach(frame.begin(), frame.header.previous_chain, state_.events);
    frame_.begin = frame.begin();
    frame_.count = frame.header.count;
    // Older ids would be forgotten again before the scan ends.
    frame_.with_ids =
        use_ != index_use::look_only &&
        state_.events + frame_.count + parts_.settings.remembered_ids >= anchor_.event_count;
    frame_.entries.clear();
    frame_.correlations.clear();
    if (adds()) {
        // A rebuild must not fill the memory.
        parts_.index.made_durable(std::min(state_.end, anchor_.end));
        parts_.index.rest_of_start_at(state_.place());
    }
}

void recovery_scan::take_record(const record_view& record) {
    IMMORTAL_ASSERT(record.position > frame_.begin && frame_.entries.size() < frame_.count);
    if (frame_.with_ids) {
        parts_.ids.add(record.stream, record.id, {record.revision, record.position});
    }
    if (!adds()) {
        return;
    }
    std::string buffer;
    std::string_view correlation = correlation_of(record.metadata, buffer);
    if (!correlation.empty() && correlation.data() == buffer.data()) {
        correlation = frame_.correlations.emplace_back(std::move(buffer));
    }
    frame_.entries.push_back(
        {record.stream, record.type, correlation, record.revision, record.position});
    if (record.last_in_batch()) {
        IMMORTAL_ASSERT(frame_.entries.size() == frame_.count);
        IMMORTAL_ASSERT(!index_place_ || frame_.begin >= index_place_->end);
        parts_.index.add(frame_.begin, frame_.entries);
    }
}

std::optional<std::string> recovery_scan::check_end() const {
    if (is_planted(planted_fault::trust_length)) {
        return std::nullopt;
    }
    if (state_.end < anchor_.end) {
        const auto last = segments_->find(state_.end);
        return fmt::format("{} ends at offset {}, but the head anchor knows {} more bytes that "
                           "were durable: the log's tail is missing",
                           last->name(), last->offset_of(state_.end),
                           anchor_.end.value - state_.end.value);
    }
    if (phase_ < phase::fresh) {
        return "the index was made of another log";
    }
    if (phase_ < phase::tail && !is_planted(planted_fault::trust_contents)) {
        return "the log's hash chain does not agree with its head anchor";
    }
    return std::nullopt;
}

std::unique_ptr<segment_list> recovery_scan::take_segments() {
    IMMORTAL_ASSERT(segments_ != nullptr && phase_ != phase::skipping);
    return std::move(segments_);
}

} // namespace immortal::eventlog
