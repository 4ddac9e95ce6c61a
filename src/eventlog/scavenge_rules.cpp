#include "eventlog/scavenge_rules.hpp"

#include "eventlog/format.hpp"
#include "eventlog/stream_metadata.hpp"

#include <algorithm>

namespace immortal::eventlog {

using base::fail;

bool may_remove(const scavenge_facts& of, base::revision at, base::utc_time created,
                base::utc_time now) {
    if (at >= of.last || at == tombstone_revision) {
        return false;
    }
    stream_metadata age;
    age.max_age = of.age_max;
    return of.tombstoned || at < of.lowest || too_old(age, created, now);
}

std::unexpected<base::error> scavenge_rules::wrong_index() const {
    index_.distrust("it does not know a stream's last event");
    return fail(base::errc::unavailable,
                "the event log's index is wrong and is being made anew from the log: start the "
                "scavenge again a little later",
                "index_damaged");
}

base::result<bool> scavenge_rules::removes(const record_view& record) {
    if (record.removed() || (record.flags & format::record_flag::tombstone) != 0) {
        return false;
    }
    const auto facts = facts_of(record.stream);
    if (!facts) {
        return fail(facts.error());
    }
    return may_remove(*facts, record.revision, record.created, now_);
}

base::result<scavenge_facts> scavenge_rules::facts_of(std::string_view stream) {
    std::string name(stream);
    if (const auto known = known_.find(name); known != known_.end()) {
        return known->second;
    }
    const auto last = index_.last_revision(stream, end_);
    if (!last) {
        return fail(last.error());
    }
    if (!*last) {
        return wrong_index();
    }
    scavenge_facts facts{.last = **last, .lowest = {0}, .age_max = std::nullopt};
    facts.tombstoned = facts.last == tombstone_revision;
    if (!facts.tombstoned) {
        const auto metadata = metadata_of_stream(stream);
        if (!metadata) {
            return fail(metadata.error());
        }
        facts.lowest = lowest_readable(*metadata, facts.last);
        facts.age_max = metadata->max_age;
    }
    if (known_.size() == streams_max) {
        known_.clear();
    }
    return known_.emplace(std::move(name), facts).first->second;
}

base::result<stream_metadata> scavenge_rules::metadata_of_stream(std::string_view stream) {
    if (is_metadata_stream(stream)) {
        return metadata_stream_metadata();
    }
    const std::string name = metadata_stream_of(stream);
    const auto last = index_.last_revision(name, end_);
    if (!last) {
        return fail(last.error());
    }
    if (!*last) {
        return stream_metadata{};
    }
    const auto at = index_.stream_positions(name, **last, direction::forwards, 1, end_);
    if (!at) {
        return fail(at.error());
    }
    if (at->empty()) {
        return wrong_index();
    }
    std::vector<std::byte> buffer;
    const auto record = reader_.read_record(at->front(), end_, buffer);
    if (!record) {
        return fail(record.error());
    }
    return metadata_of(to_event(*record));
}

} // namespace immortal::eventlog
