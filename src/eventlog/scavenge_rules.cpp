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

std::unexpected<base::error> scavenge_rules::wrong_index(std::string_view cause) const {
    index_.distrust(cause);
    return fail(index_delay(
        "the event log's index is wrong and is being made anew from the log: start the scavenge "
        "again a little later"));
}

base::result<bool> scavenge_rules::removes(const record_view& record) {
    if (record.removed() || (record.flags & format::record_flag::tombstone) != 0) {
        return false;
    }
    const auto facts = facts_of(record.stream);
    if (!facts) {
        return fail(facts.error());
    }
    scavenge_facts& known = **facts;
    if (!may_remove(known, record.revision, record.created, now_)) {
        return false;
    }
    if (!known.confirmed) {
        std::vector<std::byte> buffer;
        if (const auto last = record_of(record.stream, known.last, buffer); !last) {
            return fail(last.error());
        }
        known.confirmed = true;
    }
    return true;
}

base::result<scavenge_facts*> scavenge_rules::facts_of(std::string_view stream) {
    std::string name(stream);
    if (const auto known = known_.find(name); known != known_.end()) {
        return &known->second;
    }
    const auto last = index_.last_revision(stream, end_);
    if (!last) {
        return fail(last.error());
    }
    if (!*last) {
        return wrong_index("it does not know a stream's last event");
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
    return &known_.emplace(std::move(name), facts).first->second;
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
    std::vector<std::byte> buffer;
    const auto record = record_of(name, **last, buffer);
    if (!record) {
        return fail(record.error());
    }
    return metadata_of(to_event(*record));
}

base::result<record_view> scavenge_rules::record_of(std::string_view stream, base::revision at,
                                                    std::vector<std::byte>& buffer) {
    const auto places = index_.stream_positions(stream, at, direction::forwards, 1, end_);
    if (!places) {
        return fail(places.error());
    }
    if (places->empty()) {
        return wrong_index("it does not know where a stream's last event is");
    }
    const auto record = reader_.read_record(places->front(), end_, buffer);
    if (!record) {
        return fail(record.error());
    }
    if (record->stream != stream || record->revision != at) {
        return wrong_index("it names another event than a stream's last one");
    }
    return *record;
}

} // namespace immortal::eventlog
