// Puts what a forwards read meets into its slice.
#pragma once

#include "eventlog/frame_reader.hpp"
#include "eventlog/log.hpp"
#include "eventlog/planted_fault.hpp"

namespace immortal::eventlog {

// Takes the records of whole frames, and of parts of frames, in the order of the log, until the
// slice is full. What it refers to outlives it.
class forwards_taker {
public:
    forwards_taker(log_slice& out, base::position from, std::size_t count_max,
                   const record_filter& filter, std::size_t considered_max)
        : out_(out), from_(from), count_max_(count_max), filter_(filter),
          considered_max_(considered_max) {}

    [[nodiscard]] bool full() const {
        return out_.events.size() >= count_max_ || out_.considered >= considered_max_;
    }
    void take(const record_view& record, base::position frame_end) {
        if (record.position < from_) {
            return;
        }
        out_.last_seen = record.position;
        ++out_.considered;
        if (!record.removed() && (!filter_ || filter_(record))) {
            out_.events.push_back(to_event(record));
        }
        out_.next = record.last_in_batch() ? frame_end : record.end();
    }
    // After the records of a frame, or those of them that fitted.
    void end_frame(base::position frame_end) {
        if (!full() || is_planted(planted_fault::resume_skips)) {
            out_.next = frame_end;
        }
        if (out_.next == frame_end) {
            out_.whole = out_.events.size();
            out_.whole_next = out_.next;
            out_.whole_last_seen = out_.last_seen;
            out_.whole_considered = out_.considered;
        }
    }
    // False: the slice is full, or the frame is damaged (see `walk`).
    bool take(const frame_view& frame, record_walk& walk) {
        record_view record;
        while (!full() && walk.next(record)) {
            take(record, frame.end());
        }
        if (walk.damaged()) {
            return false;
        }
        end_frame(frame.end());
        return !full();
    }

private:
    log_slice& out_;
    base::position from_;
    std::size_t count_max_;
    const record_filter& filter_;
    std::size_t considered_max_;
};

// How far one forwards read has come.
struct forwards_pass {
    base::position from;
    std::uint64_t scan_bytes_max = 0;
    bool at_boundary = false; // a frame begins at `out.next`, it seems
    log_slice& out;
    forwards_taker& taker;
    std::uint64_t scanned = 0; // bytes
};

} // namespace immortal::eventlog
