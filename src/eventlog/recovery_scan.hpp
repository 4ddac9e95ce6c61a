// One look at the segments of a log that is being opened. The protocol it is part of is described
// in recovery.cpp.
#pragma once

#include "base/clock.hpp"
#include "eventlog/anchor.hpp"
#include "eventlog/index.hpp"
#include "eventlog/log.hpp"
#include "eventlog/recent_ids.hpp"
#include "eventlog/segment_walk.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace immortal::eventlog {

// How a look treats the index.
enum class index_use : std::uint8_t {
    go_on,     // begins at a place the index keeps, and adds what follows
    look_only, // begins at the log's beginning and adds nothing
    rebuild,   // begins there and adds everything
};

class recovery_scan {
public:
    struct parts {
        const log_settings& settings;
        base::file_system& files;
        log_index& index;
        recent_ids& ids;
        base::clock& clock;
    };
    // `present`: the numbers of the segments in the folder, ascending. What is given by reference
    // outlives the scan.
    recovery_scan(parts given, const anchor_state& anchor, std::span<const std::uint32_t> present,
                  index_use use);

    // Reads what has to be read; once. The sentence says what is wrong at or below the anchor, with
    // the log or with what the index says of it; none: the log is sound up to there. Errors:
    // unavailable.
    [[nodiscard]] base::result<std::optional<std::string>> run();

    [[nodiscard]] bool relies_on_index() const { return index_place_.has_value(); }
    [[nodiscard]] const std::optional<log_place>& index_place() const { return index_place_; }

    // After a run that found nothing wrong.
    struct torn_tail {
        std::uint32_t segment = 0;
        base::position place;
        std::uint64_t offset = 0; // in the segment
        std::string cause;
    };
    [[nodiscard]] const std::optional<torn_tail>& torn() const { return torn_; }
    [[nodiscard]] const scan_state& state() const { return state_; } // at the end of what is sound
    [[nodiscard]] std::unique_ptr<segment_list> take_segments();

private:
    // How far the look is; it only moves forward.
    enum class phase : std::uint8_t {
        skipping, // before `start_`: of segments only place, length and end are checked
        indexed,  // frames are read whose entries stand in the index
        fresh,    // behind the index's place, which the chain led through: entries are added
        tail,     // behind the head anchor, which the chain led through
        torn,     // what follows is no whole frame, and was never acknowledged
    };
    struct frame_in_work {
        base::position begin;
        std::uint32_t count = 0;
        bool with_ids = false; // its event ids are among the newest
        std::vector<index_entry> entries;
        std::deque<std::string> correlations; // that `entries` point into
    };
    using fault_or_none = base::result<std::optional<scan_fault>>;

    void choose_start();
    void enter(phase next);
    void reach(base::position place, const base::digest256& chain, std::uint64_t events);
    void leave_skipping();
    [[nodiscard]] bool adds() const {
        return use_ != index_use::look_only && phase_ >= phase::fresh;
    }
    fault_or_none scan_segment(std::uint32_t number);
    fault_or_none read_frames(segment_walk& walk);
    fault_or_none check_sealed(const segment& next);
    [[nodiscard]] base::result<bool> ends_as_sealed(const segment& one, base::position end,
                                                    const base::digest256& sealed);
    void take_frame(const frame_view& frame);
    void take_record(const record_view& record);
    void tell_progress(std::uint32_t number);
    [[nodiscard]] std::optional<std::string> check_end() const;

    parts parts_;
    anchor_state anchor_;
    std::span<const std::uint32_t> present_;
    index_use use_;
    phase phase_ = phase::fresh;
    log_place start_;                      // where reading begins; meaningless once it began
    std::optional<log_place> index_place_; // entries before it stand in the index
    std::unique_ptr<segment_list> segments_;
    scan_state state_;
    chain_hasher hasher_;
    std::shared_ptr<segment> skipped_; // the segment before, if its frames were not read
    frame_in_work frame_;
    std::optional<torn_tail> torn_;
    base::steady_time told_{};
};

} // namespace immortal::eventlog
