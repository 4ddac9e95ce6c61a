#include "eventlog/recovery.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/correlation.hpp"
#include "eventlog/planted_fault.hpp"
#include "eventlog/scavenged_file.hpp"
#include "eventlog/segment_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <utility>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;
using base::file_error;

std::unexpected<base::error> environment(const file_error& problem) {
    base::log_error("eventlog", "the log could not be opened", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

std::unexpected<base::error> damaged(std::string message) {
    message += "; nothing was changed: restore the log from a backup, or run `immortal log verify` "
               "to see all damage";
    return fail(errc::corrupt, std::move(message));
}

// So many of the newest closed segments are read at their end when the log is opened; of the others
// place and length are checked, and what stands in them when it is read.
constexpr std::uint32_t sealed_checks_max = 64;

// How a look at the folder treats the index.
enum class index_use : std::uint8_t {
    go_on,     // begins at a place the index keeps, and adds what follows
    look_only, // begins at the log's beginning and adds nothing
    rebuild,   // begins there and adds everything
};

// The opening of one folder.
class recovery {
public:
    recovery(const log_settings& settings, base::file_system& files, log_index& index,
             recent_ids& ids, base::clock& clock)
        : settings_(settings), files_(files), index_(index), ids_(ids), clock_(clock) {}

    base::result<recovered_log> open_or_create(base::random_source& random);

private:
    base::result<recovered_log> create(base::random_source& random);
    base::result<recovered_log> open(head_anchor anchor);
    [[nodiscard]] base::result<bool> is_new(const std::vector<std::uint32_t>& numbers);

    base::status find_log(const anchor_state& anchor);
    void begin(const anchor_state& anchor, index_use use);
    void choose_start(const anchor_state& anchor);
    // What is wrong, if anything is, at or below the anchor; else `tail_fault_` is what follows it.
    base::result<std::optional<std::string>> scan(const anchor_state& anchor);
    base::result<std::optional<scan_fault>> scan_one(std::uint32_t number,
                                                     const anchor_state& anchor);
    base::result<std::optional<scan_fault>> read_frames(segment& now, std::uint64_t size,
                                                        const anchor_state& anchor);
    // Whether the last frame of a segment that was not read is the one the next segment continues.
    [[nodiscard]] base::result<bool> ends_as_sealed(const segment& one, base::position end,
                                                    const base::digest256& sealed);
    void take_frame(const frame_view& frame, const anchor_state& anchor);
    void take_record(const record_view& record);
    [[nodiscard]] std::optional<std::string> check_reached(const anchor_state& anchor) const;

    // The frames up to `at` were read, or an index place says so.
    void meet(const anchor_state& anchor, base::position at, const base::digest256& chain,
              std::uint64_t events) {
        met_ = met_ || (at == anchor.end && chain == anchor.chain);
        index_met_ = index_met_ || (index_place_ && at == index_place_->end &&
                                    chain == index_place_->chain && events == index_place_->events);
    }
    [[nodiscard]] std::string path(const std::string& name) const {
        return settings_.folder + "/" + name;
    }

    const log_settings& settings_;
    base::file_system& files_;
    log_index& index_;
    recent_ids& ids_;
    base::clock& clock_;
    chain_hasher hasher_;
    std::vector<std::uint32_t> numbers_;
    std::uint64_t bytes_cut_ = 0;
    // Of one look:
    index_use use_ = index_use::go_on;
    std::unique_ptr<segment_list> segments_;
    scan_state state_;
    std::optional<log_place> start_;       // the frames before it are not read
    std::optional<log_place> index_place_; // entries before it stand in the index
    bool index_met_ = false;               // the chain went through that place
    std::shared_ptr<segment> unread_;      // the segment before, if its frames were not read
    bool met_ = false; // the chain reached the anchor's place with the anchor's value
    std::optional<scan_fault> tail_fault_; // after the anchor, in segment state_.next_segment - 1
    std::uint32_t tail_fault_segment_ = 0;
    base::position frame_begin_;
    bool remember_ = false;     // this frame's ids
    bool new_to_index_ = false; // this frame
    std::vector<index_entry> entries_;
    std::deque<std::string> correlations_;
    std::optional<base::error> index_problem_;
};

base::result<recovered_log> recovery::open_or_create(base::random_source& random) {
    const auto names = files_.list(settings_.folder);
    if (!names) {
        return environment(names.error());
    }
    for (const std::string& name : *names) {
        if (const auto number = format::segment_number(name)) {
            numbers_.push_back(*number);
        }
    }
    auto anchor = head_anchor::open(files_, settings_.folder, base::open_mode::read_write);
    if (!anchor && anchor.error().what != file_error::kind::not_found) {
        return environment(anchor.error());
    }
    if (!anchor) {
        const auto fresh = is_new(numbers_);
        if (!fresh) {
            return fail(fresh.error());
        }
        return *fresh
                   ? create(random)
                   : damaged("the log's head anchor is missing, so that a missing tail could not "
                             "be noticed");
    }
    if (!*anchor) {
        return damaged("both slots of the log's head anchor are damaged");
    }
    return open(std::move(**anchor));
}

// Without an anchor only an unfinished creation is accepted: at most one segment without frames.
base::result<bool> recovery::is_new(const std::vector<std::uint32_t>& numbers) {
    if (numbers.empty()) {
        return true;
    }
    if (numbers != std::vector<std::uint32_t>{0}) {
        return false;
    }
    auto file = files_.open(path(format::segment_name(0)), base::open_mode::read);
    const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
    if (!file || !size) {
        return environment(file ? size.error() : file.error());
    }
    return *size <= sizeof(format::segment_header);
}

base::result<recovered_log> recovery::create(base::random_source& random) {
    base::log_identity identity{base::uuid::make_random(random), 1};
    if (auto opened = index_.open(identity); !opened) {
        return fail(std::move(opened.error()));
    }
    segments_ = std::make_unique<segment_list>();
    state_.log_id = identity.id;
    state_.chain = hasher_.genesis(identity.id);
    auto first = create_segment(files_, settings_.folder, state_, identity.epoch, clock_.now());
    if (!first) {
        return environment(first.error());
    }
    state_.next_segment = 1;
    state_.end = (*first)->first_frame();
    segments_->add(std::move(*first));
    auto anchor = head_anchor::create(files_, settings_.folder,
                                      {identity, 0, state_.end, 0, {}, state_.chain});
    if (!anchor) {
        return environment(anchor.error());
    }
    return recovered_log{std::move(*anchor), std::move(segments_), state_, 0};
}

base::result<recovered_log> recovery::open(head_anchor anchor) {
    const anchor_state known = anchor.state();
    if (auto opened = index_.open(known.log); !opened) {
        return fail(std::move(opened.error()));
    }
    if (auto found = find_log(known); !found) {
        return fail(std::move(found.error()));
    }
    if (tail_fault_) {
        auto cut = cut_torn_tail(files_, settings_.folder, numbers_, tail_fault_segment_,
                                 tail_fault_->offset, tail_fault_->what);
        if (!cut) {
            return environment(cut.error());
        }
        bytes_cut_ = *cut;
    }
    anchor_state now = known;
    now.segment = segments_->last()->number();
    now.end = state_.end;
    now.event_count = state_.events;
    now.last_event = state_.last_event;
    now.chain = state_.chain;
    // What was found counts from now on, so it must be durable first: names whose sync failed in an
    // earlier run, and what stands beyond the anchor.
    if (auto synced = files_.sync_directory(settings_.folder); !synced) {
        return environment(synced.error());
    }
    if (now.end != known.end) {
        if (auto written = make_durable(*segments_->last(), known.end, now.end); !written) {
            return environment(written.error());
        }
        if (auto stored = anchor.store(now); !stored) {
            return environment(stored.error());
        }
    }
    index_.made_durable(now.end);
    return recovered_log{std::move(anchor), std::move(segments_), state_, bytes_cut_};
}

// The index may say something wrong; the log decides. What does not fit is looked at again without
// the index, so that either the log's damage is found or the index was wrong.
base::status recovery::find_log(const anchor_state& anchor) {
    begin(anchor, index_use::go_on);
    const bool relied = index_place_.has_value();
    auto problem = scan(anchor);
    if (problem && *problem && relied) {
        base::log_warning("eventlog", "the index and the log do not fit: the whole log is read",
                          {{"cause", **problem}});
        begin(anchor, index_use::look_only);
        problem = scan(anchor);
        if (problem && !*problem) {
            if (auto done = index_.discard(); !done) {
                return done;
            }
            begin(anchor, index_use::rebuild);
            problem = scan(anchor);
        }
    }
    if (!problem) {
        return fail(std::move(problem.error()));
    }
    return *problem ? damaged(std::move(**problem)) : base::status{};
}

void recovery::begin(const anchor_state& anchor, index_use use) {
    use_ = use;
    segments_ = std::make_unique<segment_list>();
    state_ = {};
    state_.log_id = anchor.log.id;
    state_.chain = hasher_.genesis(anchor.log.id);
    start_.reset();
    index_place_.reset();
    index_met_ = false;
    met_ = false;
    tail_fault_.reset();
    unread_.reset();
    if (use == index_use::go_on) {
        choose_start(anchor);
    }
}

// The frames after the index's last place are read, and as many before it as hold the ids to be
// remembered.
void recovery::choose_start(const anchor_state& anchor) {
    for (const log_place& place : index_.kept()) {
        index_place_ = place;
        if (place.events + settings_.remembered_ids <= anchor.event_count ||
            settings_.remembered_ids == 0) {
            start_ = place;
        }
    }
}

base::result<std::optional<std::string>> recovery::scan(const anchor_state& anchor) {
    if (index_place_ && index_place_->end > anchor.end) {
        return std::optional<std::string>("the index knows more than the log holds");
    }
    auto told = clock_.steady_now();
    for (std::uint32_t number = 0;; ++number) {
        const bool present = std::ranges::binary_search(numbers_, number);
        if (!present && number <= anchor.segment) {
            return std::optional(format::segment_name(number) + " is missing");
        }
        if (!present) {
            break;
        }
        const auto fault = scan_one(number, anchor);
        if (!fault) {
            return fail(fault.error());
        }
        if (index_problem_) {
            return fail(std::move(*index_problem_));
        }
        if (*fault) {
            const scan_fault& at = **fault;
            if (at.at < anchor.end) {
                return std::optional(fmt::format("{} is damaged at offset {}: {}",
                                                 format::segment_name(number), at.offset, at.what));
            }
            tail_fault_ = at;
            tail_fault_segment_ = number;
            break;
        }
        const auto now = clock_.steady_now();
        if (now - told > std::chrono::seconds(2)) {
            told = now;
            base::log_info("eventlog", "the log is being read to fill its index",
                           {{"segment", number},
                            {"of", anchor.segment},
                            {"events", state_.events},
                            {"of_events", anchor.event_count}});
        }
    }
    return check_reached(anchor);
}

base::result<std::optional<scan_fault>> recovery::scan_one(std::uint32_t number,
                                                           const anchor_state& anchor) {
    auto file =
        open_segment_file(files_, path(format::segment_name(number)), base::open_mode::read_write);
    const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
    if (!file || !size) {
        return environment(file ? size.error() : file.error());
    }
    // Segments before the start are not read: each must stand in its place and end where the next
    // one begins.
    if (start_ && start_->end == state_.end && number > 0) {
        state_.move_to(*start_);
        start_.reset();
    }
    std::optional<scan_fault> fault;
    auto opened =
        open_segment(std::move(*file), state_, fault,
                     start_ && number > 0 ? chain_check::unknown : chain_check::continues);
    if (!opened) {
        return environment(opened.error());
    }
    if (fault) {
        return fault;
    }
    const std::shared_ptr<segment> now = *opened;
    if (unread_ && number + sealed_checks_max > anchor.segment) {
        const auto sealed = ends_as_sealed(*unread_, now->first(), now->header().previous_chain);
        if (!sealed) {
            return fail(sealed.error());
        }
        if (!*sealed) {
            return std::optional(
                scan_fault{unread_->first(), 0,
                           unread_->name() + " does not end as this segment says it does"});
        }
    }
    unread_.reset();
    segments_->add(now);
    const base::position end{now->first().value + *size};
    if (start_ && start_->end >= end && end < anchor.end) {
        state_.end = end;
        state_.next_segment = number + 1;
        unread_ = now;
        return std::optional<scan_fault>();
    }
    return read_frames(*now, *size, anchor);
}

base::result<std::optional<scan_fault>> recovery::read_frames(segment& now, std::uint64_t size,
                                                              const anchor_state& anchor) {
    scan_visitor visit;
    visit.frame = [&](const frame_view& frame) { take_frame(frame, anchor); };
    visit.record = [&](const record_view& record) { take_record(record); };
    base::file_result<std::optional<scan_fault>> scanned;
    if (start_) { // it lies in this segment, or at the end of what there is
        if (start_->end < now.first_frame() || start_->end.value > now.first().value + size) {
            return std::optional(scan_fault{state_.end, 0, "it ends before the index does"});
        }
        state_.move_to(*start_);
        state_.next_segment = now.number() + 1;
        start_.reset();
        meet(anchor, state_.end, state_.chain, state_.events);
        scanned = resume_scan(now, size, state_, hasher_, visit);
    } else {
        scanned = scan_frames(now, size, state_, hasher_, visit);
    }
    if (!scanned) {
        return environment(scanned.error());
    }
    meet(anchor, state_.end, state_.chain, state_.events);
    return std::move(*scanned);
}

base::result<bool> recovery::ends_as_sealed(const segment& one, base::position end,
                                            const base::digest256& sealed) {
    if (one.scavenged()) {
        return one.header().last_chain == sealed;
    }
    const auto known = index_.frame_before({end.value - 1}, end);
    if (!known) { // the index is damaged, so that it does not count
        return false;
    }
    const base::position begin = std::max(*known, one.first_frame());
    frame_reader reader(one.contents(), one.first(), begin, end, 1u << 20u);
    base::digest256 chain = one.header().previous_chain;
    bool follows = begin == one.first_frame();
    for (frame_view frame;;) {
        const auto outcome = reader.next(frame);
        if (!outcome) {
            return environment(outcome.error());
        }
        if (*outcome != frame_reader::outcome::frame) {
            return *outcome == frame_reader::outcome::end && chain == sealed;
        }
        if (follows && frame.header.previous_chain != chain) {
            return false;
        }
        chain = hasher_.after(frame.bytes);
        follows = true;
    }
}

void recovery::take_frame(const frame_view& frame, const anchor_state& anchor) {
    meet(anchor, frame.begin(), frame.header.previous_chain, state_.events);
    // Older ids would be forgotten again before the scan ends.
    remember_ = state_.events + frame.header.count + settings_.remembered_ids >= anchor.event_count;
    frame_begin_ = frame.begin();
    entries_.clear();
    correlations_.clear();
    new_to_index_ =
        use_ != index_use::look_only && (!index_place_ || frame.begin() >= index_place_->end);
    if (new_to_index_ && !index_problem_) {
        // A rebuild must not fill the memory.
        index_.made_durable(std::min(state_.end, anchor.end));
        if (auto room = index_.rest_at(state_.place()); !room) {
            index_problem_ = std::move(room.error());
        }
    }
}

void recovery::take_record(const record_view& record) {
    if (use_ == index_use::look_only) {
        return;
    }
    if (remember_) {
        ids_.add(record.stream, record.id, {record.revision, record.position});
    }
    if (!new_to_index_) {
        return;
    }
    std::string buffer;
    std::string_view correlation = correlation_of(record.metadata, buffer);
    if (!correlation.empty() && correlation.data() == buffer.data()) {
        correlation = correlations_.emplace_back(std::move(buffer));
    }
    entries_.push_back({record.stream, record.type, correlation, record.revision, record.position});
    if (record.last_in_batch()) {
        index_.add(frame_begin_, entries_);
    }
}

std::optional<std::string> recovery::check_reached(const anchor_state& anchor) const {
    if (is_planted(planted_fault::trust_length)) {
        return std::nullopt;
    }
    if (state_.end < anchor.end) {
        const auto last = segments_->find(state_.end);
        return fmt::format("{} ends at offset {}, but the head anchor knows {} more bytes that "
                           "were durable: the log's tail is missing",
                           last->name(), last->offset_of(state_.end),
                           anchor.end.value - state_.end.value);
    }
    if (index_place_ && !index_met_) {
        return "the index was made of another log";
    }
    if (!met_ && !is_planted(planted_fault::trust_contents)) {
        return "the log's hash chain does not agree with its head anchor";
    }
    return std::nullopt;
}

} // namespace

base::result<recovered_log> recover(const log_settings& settings, base::file_system& files,
                                    base::clock& clock, base::random_source& random,
                                    log_index& index, recent_ids& ids) {
    return recovery(settings, files, index, ids, clock).open_or_create(random);
}

} // namespace immortal::eventlog
