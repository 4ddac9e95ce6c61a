#include "eventlog/verify.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/anchor.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/segment_walk.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

std::unexpected<base::error> environment(const base::file_error& problem) {
    base::log_error("eventlog", "the log could not be verified", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

// When the checking began.
enum class log_use : std::uint8_t { stopped, open_elsewhere };

class verification {
public:
    verification(const std::string& folder, base::file_system& files, log_use use,
                 const verify_options& options)
        : folder_(folder), files_(files), use_(use), revisions_(options.streams_max) {}

    base::result<verify_report> run();

private:
    base::status read_anchor();
    base::status look_into_folder();
    base::status check_segment(std::uint32_t number);
    base::status check_frames(segment_walk& walk);
    void check_record(const segment& one, const record_view& record);
    void check_revision(const segment& one, const record_view& record);
    base::status check_other_revisions();
    base::status check_revisions(std::uint32_t number);
    [[nodiscard]] std::uint64_t size_to_check(const segment_walk& walk) const;

    void add(std::string file, std::uint64_t offset, std::string what) {
        ++report_.damaged_places;
        if (report_.findings.size() < verify_report::findings_max) {
            report_.findings.push_back({std::move(file), offset, std::move(what)});
        } else {
            ++report_.findings_left_out;
        }
        IMMORTAL_ASSERT(report_.damaged_places <=
                        report_.findings.size() + report_.findings_left_out);
    }
    // There is a gap: revisions can be checked up to here.
    void lose_track(base::position at) {
        whole_end_ = is_whole_ ? at : whole_end_;
        is_whole_ = false;
    }
    void meet(base::position at, const base::digest256& chain) {
        met_ = met_ || (anchor_ && at == anchor_->end && chain == anchor_->chain);
    }

    const std::string& folder_;
    base::file_system& files_;
    log_use use_;
    verify_report report_;
    std::optional<anchor_state> anchor_;
    std::uint32_t last_ = 0; // segment to look at
    scan_state state_;
    chain_hasher hasher_;
    bool met_ = false;
    bool is_whole_ = true; // no gap so far
    base::position whole_end_;
    revision_check revisions_;
};

base::status verification::read_anchor() {
    const auto anchor = read_anchor_beside_writer(files_, folder_);
    if (!anchor && anchor.error().what != base::file_error::kind::not_found) {
        return environment(anchor.error());
    }
    if (!anchor || !*anchor) {
        if (use_ == log_use::open_elsewhere) {
            return fail(errc::already_exists, "the event log is being made by another process",
                        "in_use");
        }
        add("anchor", 0, anchor ? "both slots are damaged" : "it is missing");
        return {};
    }
    anchor_ = **anchor;
    report_.log = anchor_->log;
    state_.log_id = anchor_->log.id;
    return {};
}

// After the anchor was read, so that every segment it covers is there.
base::status verification::look_into_folder() {
    const auto names = files_.list(folder_);
    if (!names) {
        return environment(names.error());
    }
    bool any = anchor_.has_value();
    last_ = anchor_ ? anchor_->segment : 0;
    for (const std::string& name : *names) {
        report_.torn_files += name.ends_with(".torn") ? 1 : 0;
        const auto number = format::segment_number(name);
        any = any || number || name == "anchor";
        if (number && !anchor_) {
            last_ = std::max(last_, *number);
        }
    }
    if (!any) {
        return fail(errc::not_found, "there is no event log in this folder");
    }
    if (std::ranges::find(*names, restore_marker) == names->end()) {
        return {};
    }
    if (use_ == log_use::open_elsewhere) {
        return fail(errc::already_exists, "a restore is writing into this folder", "in_use");
    }
    add(restore_marker, 0, "a restore into this folder was not finished");
    return {};
}

base::result<verify_report> verification::run() {
    report_.open_elsewhere = use_ == log_use::open_elsewhere;
    base::status done = read_anchor();
    done = done ? look_into_folder() : done;
    state_.chain = hasher_.genesis(state_.log_id);
    for (std::uint32_t number = 0; done && number <= last_; ++number) {
        done = check_segment(number);
    }
    if (!done) {
        return fail(std::move(done.error()));
    }
    if (anchor_ && is_whole_ && state_.end < anchor_->end) {
        add(format::segment_name(last_), 0, "the log's tail is missing");
    } else if (anchor_ && is_whole_ && !met_) {
        add("anchor", 0, "the hash chain does not agree with the head anchor");
    }
    lose_track(state_.end);
    report_.end = state_.end;
    if (done = check_other_revisions(); !done) {
        return fail(std::move(done.error()));
    }
    return std::move(report_);
}

// Of the last segment, which may be written meanwhile: what the anchor covers.
std::uint64_t verification::size_to_check(const segment_walk& walk) const {
    const segment& one = *walk.entered();
    const bool grows = anchor_ && one.number() == anchor_->segment;
    return grows ? std::min(walk.size(), one.offset_of(std::max(anchor_->end, one.first())))
                 : walk.size();
}

base::status verification::check_segment(std::uint32_t number) {
    const std::string name = format::segment_name(number);
    auto walk = segment_walk::open(files_, folder_, number);
    if (!walk && walk.error().what == base::file_error::kind::not_found) {
        add(name, 0, "the segment is missing");
        lose_track(state_.end);
        return {};
    }
    if (!walk) {
        return environment(walk.error());
    }
    ++report_.segments;
    if (walk->header() && (!anchor_ || !is_whole_)) { // begin anew with what it says of itself
        state_.log_id = anchor_ ? state_.log_id : base::uuid{walk->header()->log_id};
        state_.chain = walk->header()->previous_chain;
        state_.end = {walk->header()->first_position};
    }
    state_.next_segment = number;
    const auto fault = walk->enter(state_);
    IMMORTAL_ASSERT(!fault || *fault || walk->entered()->first() == state_.end);
    if (!fault) {
        return environment(fault.error());
    }
    if (*fault) {
        add(name, (*fault)->offset, (*fault)->what);
        lose_track(state_.end);
        return {};
    }
    const auto contents = walk->check_contents();
    if (!contents) {
        return environment(contents.error());
    }
    if (*contents) {
        add(name, (*contents)->offset, (*contents)->what);
    }
    return check_frames(*walk);
}

base::status verification::check_frames(segment_walk& walk) {
    const segment& one = *walk.entered();
    const std::uint64_t size = size_to_check(walk);
    const base::position end{one.first().value + size};
    report_.bytes += size;
    if (size < one.offset_of(one.first_frame())) { // the anchor is that of another log
        add(one.name(), size, "the head anchor's end lies in the segment's header");
        lose_track(one.first());
        return {};
    }
    scan_visitor visit;
    visit.frame = [&](const frame_view& frame) {
        meet(frame.begin(), frame.header.previous_chain);
    };
    visit.record = [&](const record_view& record) { check_record(one, record); };
    const std::uint64_t frames = state_.frames;
    auto fault = walk.scan(size, state_, hasher_, visit);
    while (fault && *fault) {
        add(one.name(), (*fault)->offset, (*fault)->what);
        lose_track((*fault)->at);
        const auto passed = pass_damaged_frame(one, size, state_);
        if (!passed) {
            return environment(passed.error());
        }
        if (!*passed) { // nothing more can be found here
            if (state_.end < end) {
                add(one.name(), one.offset_of(state_.end), "a frame's header is damaged");
                state_.end = end;
            }
            break;
        }
        fault = resume_scan(one, size, state_, hasher_, visit);
    }
    if (!fault) {
        return environment(fault.error());
    }
    IMMORTAL_ASSERT(state_.end == end && state_.frames >= frames);
    meet(state_.end, state_.chain);
    report_.frames += state_.frames - frames;
    return {};
}

void verification::check_record(const segment& one, const record_view& record) {
    ++report_.events;
    if (is_whole_) {
        check_revision(one, record);
    }
}

// Each place once, however many readings find it.
void verification::check_revision(const segment& one, const record_view& record) {
    if (revisions_.follows(record.stream, record.revision)) {
        return;
    }
    const std::uint64_t offset = one.offset_of(record.position);
    const bool is_known = std::ranges::any_of(report_.findings, [&](const verify_finding& known) {
        return known.file == one.name() && known.offset == offset;
    });
    if (!is_known) {
        add(one.name(), offset, "an event's revision does not follow its stream's last one");
    }
}

// Those of the streams that did not fit into memory.
base::status verification::check_other_revisions() {
    IMMORTAL_ASSERT(!is_whole_); // lose_track() said how far they can be checked
    while (revisions_.begin_next_reading()) {
        ++report_.readings;
        for (std::uint32_t number = 0; number <= last_; ++number) {
            if (auto done = check_revisions(number); !done) {
                return done;
            }
        }
    }
    return {};
}

base::status verification::check_revisions(std::uint32_t number) {
    auto walk = segment_walk::open(files_, folder_, number);
    if (!walk) {
        return walk.error().what == base::file_error::kind::not_found ? base::status{}
                                                                      : environment(walk.error());
    }
    if (!walk->header() || base::position{walk->header()->first_position} >= whole_end_) {
        return {}; // damaged, as the first reading found; or behind the damage
    }
    scan_state place;
    place.log_id = state_.log_id;
    place.next_segment = number;
    place.end = {walk->header()->first_position};
    const auto fault = walk->enter(place, chain_check::unknown);
    if (!fault) {
        return environment(fault.error());
    }
    if (*fault) {
        return {};
    }
    const segment& one = *walk->entered();
    const base::position end{std::min(one.first().value + walk->size(), whole_end_.value)};
    IMMORTAL_ASSERT(one.first() < end);
    if (end < one.first_frame()) {
        return {};
    }
    const auto walked = walk_frames(one, one.first_frame(), end, [&](const frame_view& frame) {
        record_view record;
        for (record_walk records(frame); records.next(record);) {
            check_revision(one, record);
        }
        return walk_step::go_on;
    });
    if (!walked) {
        return environment(walked.error());
    }
    if (*walked) {
        add(one.name(), (*walked)->offset,
            (*walked)->what + ", which an earlier reading did not find");
    }
    return {};
}

} // namespace

base::result<verify_report> verify(const std::string& folder, base::file_system& files,
                                   const verify_options& options) {
    auto lock = files.lock(folder + "/lock");
    if (!lock && lock.error().what != base::file_error::kind::in_use) {
        return fail(base::to_error(lock.error()));
    }
    const log_use use = lock ? log_use::stopped : log_use::open_elsewhere;
    if (lock) {
        lock->reset(); // the log may be opened meanwhile
    }
    return verification(folder, files, use, options).run();
}

} // namespace immortal::eventlog
