#include "eventlog/index_source.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/correlation.hpp"
#include "eventlog/segment_scan.hpp"

#include <deque>
#include <optional>
#include <string>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

// Shows the frames of a scan to an index, up to a place.
class index_feed {
public:
    index_feed(scan_state& state, base::position end, const index_source::visitor& visit)
        : state_(state), end_(end), visit_(visit) {}

    void take_frame(const frame_view& frame) {
        frame_ = frame.begin();
        entries_.clear();
        correlations_.clear();
        if (!reached_ && frame_ >= end_) {
            IMMORTAL_ASSERT(state_.end == end_);
            reached_ = state_.place();
        }
        if (!reached_ && !stopped_) {
            stopped_ = !visit_.rest(state_.place());
        }
    }

    void take_record(const record_view& record) {
        if (reached_ || stopped_) {
            return;
        }
        std::string buffer;
        std::string_view correlation = correlation_of(record.metadata, buffer);
        if (!correlation.empty() && correlation.data() == buffer.data()) {
            correlation = correlations_.emplace_back(std::move(buffer));
        }
        entries_.push_back(
            {record.stream, record.type, correlation, record.revision, record.position});
        if (record.last_in_batch()) {
            visit_.add(frame_, entries_);
        }
    }

    [[nodiscard]] bool stopped() const { return stopped_; }
    [[nodiscard]] const std::optional<log_place>& reached() const { return reached_; }

private:
    scan_state& state_;
    const base::position end_;
    const index_source::visitor& visit_;
    base::position frame_;
    std::vector<index_entry> entries_;     // of the frame
    std::deque<std::string> correlations_; // what some of them refer to
    std::optional<log_place> reached_;     // the place at end_
    bool stopped_ = false;
};

} // namespace

base::result<log_place> log_index_source::read(const log_place& begin, base::position end,
                                               const visitor& visit) {
    chain_hasher hasher;
    scan_state state;
    state.log_id = log_id_;
    state.move_to(begin);
    if (begin.end == base::position{}) {
        state.chain = hasher.genesis(log_id_);
    }
    index_feed feed(state, end, visit);
    scan_visitor scanned;
    scanned.frame = [&](const frame_view& frame) { feed.take_frame(frame); };
    scanned.record = [&](const record_view& record) { feed.take_record(record); };
    while (state.end < end && !feed.reached() && !feed.stopped()) {
        const auto in = segments_.find(state.end);
        // A closed segment is read to its end, where it may say which chain value it has.
        const base::position limit = segments_.end_of(*in).value_or(end);
        state.end = std::max(state.end, in->first_frame());
        state.next_segment = in->number() + 1;
        const auto fault = resume_scan(*in, in->offset_of(limit), state, hasher, scanned);
        if (!fault) {
            base::log_error("eventlog", "the index cannot be made anew",
                            {{"cause", fault.error().text}});
            return fail(base::to_error(fault.error()));
        }
        if (*fault && segments_.find(state.end) == in) { // else a scavenge replaced it meanwhile
            base::log_error(
                "eventlog", "the index cannot be made anew: the log is damaged",
                {{"segment", in->name()}, {"offset", (*fault)->offset}, {"cause", (*fault)->what}});
            return fail(errc::corrupt, in->name() + " is damaged: run `immortal log verify`");
        }
    }
    if (feed.stopped()) {
        return fail(errc::cancelled, "the making of an index was stopped");
    }
    return feed.reached().value_or(state.place());
}

} // namespace immortal::eventlog
