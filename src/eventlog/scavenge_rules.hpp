// What a scavenge removes: what the metadata of a stream hides, and what stands before a tombstone.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventlog/index.hpp"
#include "eventlog/log_reader.hpp"
#include "eventlog/record.hpp"
#include "eventlog/stream_metadata.hpp"

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace immortal::eventlog {

// What is known of one stream.
struct scavenge_facts {
    base::revision last;                         // hidden events count
    base::revision lowest;                       // nothing before it is shown
    std::optional<std::chrono::seconds> age_max; // $maxAge
    bool tombstoned = false;
    bool confirmed = false; // by the log: `last` is what the index says it is
};

// Whether the event is hidden for good. Never the last event of a stream (so that numbering and
// metadata go on), never a tombstone.
[[nodiscard]] bool may_remove(const scavenge_facts& of, base::revision at, base::utc_time created,
                              base::utc_time now);

// Asks the log, and remembers the answers for a while. One thread.
class scavenge_rules {
public:
    // As the streams are before `end` at the time `now`: a fixed point, whatever is written
    // meanwhile. What it refers to outlives it.
    scavenge_rules(log_index& index, const log_reader& reader, base::position end,
                   base::utc_time now)
        : index_(index), reader_(reader), end_(end), now_(now) {}

    // Nothing is removed on the index's word alone: what it names is looked up in the log. Errors:
    // those of the index and of reads; unavailable, index_damaged (they do not agree).
    [[nodiscard]] base::result<bool> removes(const record_view& record);

private:
    static constexpr std::size_t streams_max = 1u << 16u; // remembered at a time
    [[nodiscard]] base::result<scavenge_facts*> facts_of(std::string_view stream);
    // The event of a stream that the index knows; an error if the log says that it is another one.
    [[nodiscard]] base::result<record_view> record_of(std::string_view stream, base::revision at,
                                                      std::vector<std::byte>& buffer);
    [[nodiscard]] base::result<stream_metadata> metadata_of_stream(std::string_view stream);
    [[nodiscard]] std::unexpected<base::error> wrong_index(std::string_view cause) const;

    log_index& index_;
    const log_reader& reader_;
    base::position end_;
    base::utc_time now_;
    std::unordered_map<std::string, scavenge_facts> known_;
};

} // namespace immortal::eventlog
