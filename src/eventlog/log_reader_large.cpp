// Reads parts of frames that are too large to be read whole for each page.
#include "base/assert.hpp"
#include "eventlog/forwards_taker.hpp"
#include "eventlog/log_reader.hpp"
#include "eventlog/read_errors.hpp"

#include <algorithm>
#include <iterator>

namespace immortal::eventlog {
namespace {

// Bytes read at a time.
constexpr std::uint64_t piece_min = 1u << 10u;
constexpr std::uint64_t piece_max = 64u << 10u;

} // namespace

base::status log_reader::walk_large(const segment& in, const large_frame& frame, base::position at,
                                    base::position end,
                                    const std::function<bool(const record_view&)>& use) const {
    large_frames_.add(frame);
    const base::position begin = large_frames_.record_before(frame, at);
    const std::uint64_t asked = end > begin ? end.value - begin.value : 0;
    const auto file = in.hold();
    if (!file) {
        return read_failed(file.error());
    }
    record_reader records(**file, in.first(), begin, frame.end,
                          std::clamp(asked, piece_min, piece_max));
    base::position noted = records.at();
    record_view record;
    while (records.at() < end) {
        const auto outcome = records.next(record);
        if (!outcome) {
            return read_failed(outcome.error());
        }
        if (*outcome == record_reader::outcome::damaged) {
            return damaged_at(in, records.at());
        }
        if (*outcome == record_reader::outcome::end) {
            break;
        }
        if (record.position.value >= noted.value + large_frames::spacing) {
            noted = record.position;
            large_frames_.note(frame, noted);
        }
        if (!use(record)) {
            break;
        }
    }
    return {};
}

base::status log_reader::take_large(const segment& in, const large_frame& frame, base::position at,
                                    forwards_taker& taker) const {
    IMMORTAL_ASSERT(frame.begin <= at && at < frame.end && !taker.full());
    auto walked = walk_large(in, frame, at, frame.end, [&taker, &frame](const record_view& record) {
        taker.take(record, frame.end);
        return !taker.full();
    });
    if (walked) {
        taker.end_frame(frame.end);
    }
    return walked;
}

base::result<bool> log_reader::take_large_back(const segment& in, const large_frame& frame,
                                               base::position end, std::size_t count_max,
                                               const record_filter& filter,
                                               std::vector<recorded_event>& out) const {
    IMMORTAL_ASSERT(count_max > 0 && frame.begin < end);
    base::position upto = std::min(end, frame.end);
    // Once: later pages find their way by what this leaves behind.
    const auto nothing = [](const record_view&) { return true; };
    if (auto walked = walk_large(in, frame, upto, upto, nothing); !walked) {
        return base::fail(std::move(walked.error()));
    }
    const base::position first{frame.begin.value + sizeof(format::frame_header)};
    std::vector<recorded_event> all; // newest first
    while (upto > first && all.size() < count_max) {
        const base::position begin = large_frames_.record_before(frame, {upto.value - 1});
        std::vector<recorded_event> part;
        auto walked = walk_large(in, frame, begin, upto, [&](const record_view& record) {
            if (!record.removed() && (!filter || filter(record))) {
                part.push_back(to_event(record));
            }
            return true;
        });
        if (!walked) {
            return base::fail(std::move(walked.error()));
        }
        std::ranges::move(part.rbegin(), part.rend(), std::back_inserter(all));
        IMMORTAL_ASSERT(begin < upto);
        upto = begin;
    }
    const bool cut = all.size() > count_max || (all.size() == count_max && upto > first);
    all.resize(std::min(all.size(), count_max));
    std::ranges::move(all.rbegin(), all.rend(), std::back_inserter(out));
    return cut;
}

} // namespace immortal::eventlog
