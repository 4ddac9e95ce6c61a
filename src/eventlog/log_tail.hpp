// The end of the log that is being written: frames are staged, and submitted as a group, which is
// committed while the next frames are staged.
#pragma once

#include "eventlog/frame_writer.hpp"
#include "eventlog/log_reader.hpp"
#include "eventlog/recovery.hpp"

namespace immortal::eventlog {

// Used by the writer thread alone, but for commit(). A group lies in one segment, and so does the
// next one while the group is on its way.
class log_tail {
public:
    log_tail(const log_settings& settings, base::file_system& files, segment_list& segments,
             recovered_log& from, durable_head& head);

    // Frames that are not submitted.
    [[nodiscard]] bool has_staged() const { return staged_.size() > 0; }
    [[nodiscard]] std::size_t staged_bytes() const { return staged_.size(); }
    // Whether a frame of so many bytes may be staged; if not, commit everything, then roll.
    [[nodiscard]] bool fits(std::uint64_t frame_bytes) const;
    // Returns the position of the last event. Precondition: fits().
    base::position stage(std::span<const stream_write> writes,
                         std::span<const base::revision> first_revisions, base::utc_time now);
    // Where the next frame will begin.
    [[nodiscard]] base::position end() const { return staged_place_.end; }
    [[nodiscard]] log_place place() const { return staged_place_; }
    // What the writer knows to be durable: a group that was completed.
    [[nodiscard]] base::position durable() const { return state_.end; }
    // Whether that place is the beginning of a segment that holds nothing yet; the durable head is
    // then still in front of the segment's header.
    [[nodiscard]] bool durable_is_new_segment() const {
        return state_.end == current_->first_frame();
    }
    // The record at `at`, which is not durable yet.
    [[nodiscard]] base::result<record_view> staged_record(base::position at) const;

    enum class outcome : std::uint8_t {
        durable,
        no_space, // nothing was written, as far as anyone will ever see; the staged frames are gone
        no_descriptor, // of roll(): nothing was changed, and it may be tried again
        failed,        // unknown whether it was written; nothing may be committed any more
    };
    // The staged frames become the group on its way. Precondition: there are some, and no such
    // group.
    void submit();
    // Of that group: writes, syncs, moves the anchor and syncs it, then moves the durable head. On
    // any thread, between submit() and complete().
    outcome commit();
    // Takes note of what commit() returned. Unless durable, frames staged since are gone, too.
    void complete(outcome how);
    // Begins the next segment. Precondition: nothing staged or on its way.
    outcome roll(base::utc_time now);

    [[nodiscard]] const base::log_identity& identity() const { return anchor_.state().log; }

private:
    outcome roll_back_write();
    [[nodiscard]] bool durable_agrees() const; // the anchor with what was completed

    const log_settings& settings_;
    base::file_system& files_;
    segment_list& segments_;
    durable_head& head_;
    head_anchor anchor_;
    std::shared_ptr<segment> current_;
    scan_state state_; // durable
    byte_buffer staged_;
    log_place staged_place_; // after them
    byte_buffer submitted_;
    log_place submitted_place_; // after them
    chain_hasher hasher_;
};

} // namespace immortal::eventlog
