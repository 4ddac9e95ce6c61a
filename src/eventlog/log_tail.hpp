// The end of the log that is being written: frames are staged, then committed as a group.
#pragma once

#include "eventlog/frame_writer.hpp"
#include "eventlog/log_reader.hpp"
#include "eventlog/recovery.hpp"

namespace immortal::eventlog {

// Used by the writer thread alone. A group lies in one segment.
class log_tail {
public:
    log_tail(const log_settings& settings, base::file_system& files, segment_list& segments,
             recovered_log& from, durable_head& head);

    [[nodiscard]] bool has_staged() const { return staged_.size() > 0; }
    // Whether a frame of so many bytes may be staged; if not, commit, then roll.
    [[nodiscard]] bool fits(std::uint64_t frame_bytes) const;
    // Returns the position of the last event, and calls `note` with position and revision of each
    // in order. Precondition: fits().
    base::position stage(std::span<const stream_write> writes,
                         std::span<const base::revision> first_revisions, base::utc_time now);
    // Where the next frame will begin.
    [[nodiscard]] base::position end() const { return {state_.end.value + staged_.size()}; }
    [[nodiscard]] base::position durable() const { return state_.end; }
    // Where the durable log ends.
    [[nodiscard]] log_place durable_place() const { return state_.place(); }
    // The staged record at `at`.
    [[nodiscard]] base::result<record_view> staged_record(base::position at) const;

    enum class outcome : std::uint8_t {
        durable,
        no_space, // nothing was written, as far as anyone will ever see; the staged frames are gone
        failed,   // unknown whether it was written; nothing may be committed any more
    };
    // Writes, syncs, moves the anchor and syncs it, then moves the durable head.
    outcome commit();
    // Begins the next segment. Precondition: nothing staged.
    outcome roll(base::utc_time now);

    [[nodiscard]] const base::log_identity& identity() const { return anchor_.state().log; }

private:
    outcome take_back_write();

    const log_settings& settings_;
    base::file_system& files_;
    segment_list& segments_;
    durable_head& head_;
    head_anchor anchor_;
    std::shared_ptr<segment> current_;
    scan_state state_; // durable
    // Of the staged frames:
    byte_buffer staged_;
    base::digest256 staged_chain_;
    std::uint64_t staged_events_ = 0;
    base::position staged_last_event_;
    base::utc_time staged_created_{};
    chain_hasher hasher_;
};

} // namespace immortal::eventlog
