// The part of log_reader that knows streams: what is hidden of them, and views over many.
#include "base/assert.hpp"
#include "eventlog/log_reader.hpp"
#include "eventlog/stream_metadata.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

// How many events a backwards read takes at once, at first and later.
constexpr std::size_t backward_group_min = 4;
constexpr std::size_t backward_group_max = 256;

std::unexpected<base::error> no_count() {
    return fail(errc::invalid_argument, "a read asks for at least one event", {}, "count");
}

} // namespace

std::unexpected<base::error> log_reader::wrong_index() const {
    index_.distrust("it names another event than the log");
    return fail(index_delay(
        "the event log's index is wrong and is being made anew from the log: try again a little "
        "later"));
}

base::result<std::optional<recorded_event>>
log_reader::event_at(std::string_view stream, base::revision at, base::position end) const {
    const auto places = index_.stream_positions(stream, at, direction::forwards, 1, end);
    if (!places) {
        return fail(places.error());
    }
    if (places->empty() && at == tombstone_revision) {
        return std::nullopt;
    }
    if (places->empty()) {
        return wrong_index();
    }
    std::vector<std::byte> buffer;
    const auto record = read_record(places->front(), end, buffer);
    if (!record) {
        return fail(record.error());
    }
    if (record->stream != stream || record->revision != at) {
        return wrong_index();
    }
    return record->removed() ? std::nullopt : std::optional(to_event(*record));
}

base::result<metadata_cache::pointer> log_reader::find_metadata(std::string_view stream,
                                                                base::position end) const {
    IMMORTAL_ASSERT(!is_metadata_stream(stream));
    const std::string holder = metadata_stream_of(stream);
    const auto last = index_.last_revision(holder, end);
    if (!last) {
        return fail(last.error());
    }
    if (!*last) {
        return nullptr;
    }
    const auto event = event_at(holder, **last, end);
    if (!event) {
        return fail(event.error());
    }
    return *event ? std::make_shared<const stream_metadata>(metadata_of(**event)) : nullptr;
}

base::result<base::revision> log_reader::young_enough(std::string_view stream,
                                                      const stream_metadata& metadata,
                                                      base::revision from, base::revision last,
                                                      base::position end) const {
    // Time never decreases along the log: what is too old is a beginning of the stream.
    const base::utc_time now = clock_.now();
    std::uint64_t low = from.value;
    std::uint64_t high = last.value + 1;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        const auto event = event_at(stream, {middle}, end);
        if (!event) {
            return fail(event.error());
        }
        // What was removed was too old, or it is hidden anyway.
        if (!*event || too_old(metadata, (*event)->created, now)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return base::revision{low};
}

base::result<log_reader::shown_part> log_reader::part_of(std::string_view stream) {
    const bool metadata_stream = is_metadata_stream(stream);
    // The ticket before the end: what is kept is then at least as new.
    auto known =
        metadata_stream ? metadata_cache::answer{true, nullptr, 0} : metadata_.find(stream);
    shown_part out;
    out.end = head_.end();
    const auto last = index_.last_revision(stream, out.end);
    if (!last) {
        return fail(last.error());
    }
    out.last = *last;
    out.tombstoned = out.last == tombstone_revision;
    if (metadata_stream) {
        const auto described = index_.last_revision(described_stream(stream), out.end);
        if (!described) {
            return fail(described.error());
        }
        out.tombstoned = *described == tombstone_revision;
        out.lowest = out.last && !out.tombstoned
                         ? lowest_readable(metadata_stream_metadata(), *out.last)
                         : base::revision{};
        return out;
    }
    if (!known.known) {
        auto found = find_metadata(stream, out.end);
        if (!found) {
            return fail(std::move(found.error()));
        }
        known.metadata = std::move(*found);
        metadata_.keep(stream, known.ticket, known.metadata);
    }
    if (!known.metadata || out.tombstoned) {
        return out;
    }
    out.soft_deleted = known.metadata->soft_deleted();
    if (out.soft_deleted || !out.last) {
        return out;
    }
    out.lowest = lowest_readable(*known.metadata, *out.last);
    if (known.metadata->max_age) {
        const auto lowest = young_enough(stream, *known.metadata, out.lowest, *out.last, out.end);
        if (!lowest) {
            return fail(lowest.error());
        }
        out.lowest = *lowest;
    }
    return out;
}

template <typename T>
base::result<std::size_t> log_reader::collect_into(
    std::vector<T>& out, std::span<const base::position> positions, direction way,
    base::position end, read_meter& meter,
    const std::function<base::result<T>(const record_view&, std::size_t)>& use) const {
    std::size_t begin = 0; // of the group that is read, in `positions`
    std::size_t count = 0; // of a group that is read from its end to its beginning
    const auto append = [&](const record_view& record, std::size_t place) -> base::status {
        auto made = use(record, begin + (count == 0 ? place : count - 1 - place));
        if (!made) {
            return fail(std::move(made.error()));
        }
        out.push_back(std::move(*made));
        return {};
    };
    if (way == direction::forwards) {
        return collect(positions, end, meter, append);
    }
    // From the newest on, in groups that are read in log order, for neighbours are read at once.
    // The first ones are small: the events may be large.
    std::vector<base::position> group;
    for (std::size_t size = backward_group_min; begin < positions.size() && !meter.spent();
         size = std::min(size * 2, backward_group_max)) {
        const auto part = positions.subspan(begin, std::min(size, positions.size() - begin));
        count = part.size();
        group.assign(part.rbegin(), part.rend());
        const std::size_t before = out.size();
        read_meter whole(clock_, {});
        if (auto looked = collect(group, end, whole, append); !looked) {
            return looked;
        }
        meter.add(whole);
        static_cast<void>(meter.is_late());
        std::reverse(out.begin() + static_cast<std::ptrdiff_t>(before), out.end());
        begin += count;
    }
    return begin;
}

base::result<stream_slice> log_reader::read_stream(std::string_view stream, base::revision from,
                                                   direction way, std::size_t count_max,
                                                   const read_bounds& bounds) {
    if (count_max == 0) {
        return no_count();
    }
    const auto part = part_of(stream);
    if (!part) {
        return fail(part.error());
    }
    if (part->tombstoned) {
        return fail(errc::deleted, "stream " + std::string(stream) + " was deleted for ever",
                    "tombstoned", std::string(stream));
    }
    stream_slice out;
    out.last = part->last;
    out.next = from;
    out.soft_deleted = part->soft_deleted;
    if (!out.last || out.soft_deleted) {
        return out;
    }
    const bool back = way == direction::backwards;
    const base::revision past_last{out.last->value + 1};
    const base::revision start = back ? std::min(from, *out.last) : std::max(from, part->lowest);
    if (!back) {
        out.next_readable = std::max(std::min(from, past_last), part->lowest);
    }
    if (back ? start < part->lowest : start > *out.last) {
        return out;
    }
    out.next_readable = start;
    std::uint64_t left =
        back ? start.value - part->lowest.value + 1 : out.last->value - start.value + 1;
    // A page that a scavenge emptied is passed over: an empty one means the end, or the bounds.
    read_meter meter(clock_, bounds);
    out.next = start;
    while (out.events.empty() && left > 0 && !meter.spent()) {
        const std::uint64_t count = std::min<std::uint64_t>({count_max, left, meter.left()});
        const auto read = read_page(stream, out.next, way, count, part->end, meter, out);
        if (!read) {
            return fail(read.error());
        }
        left -= *read;
        // Backwards, what would follow revision 0 is not there.
        out.next.value =
            back ? out.next.value - std::min(*read, out.next.value) : out.next.value + *read;
    }
    out.end = left == 0;
    if (!out.events.empty()) {
        out.next_readable = out.events.front().revision;
    } else if (!out.end) {
        out.next_readable = out.next;
    } else { // all the rest was removed
        out.next_readable = back ? std::nullopt : std::optional(past_last);
    }
    return out;
}

base::result<std::uint64_t> log_reader::read_page(std::string_view stream, base::revision from,
                                                  direction way, std::uint64_t count,
                                                  base::position end, read_meter& meter,
                                                  stream_slice& out) const {
    const auto positions = index_.stream_positions(stream, from, way, count, end);
    if (!positions) {
        return fail(positions.error());
    }
    if (positions->empty()) {
        return wrong_index();
    }
    out.events.reserve(positions->size());
    return collect_into<recorded_event>(
        out.events, *positions, way, end, meter,
        [&](const record_view& record, std::size_t i) -> base::result<recorded_event> {
            const bool back = way == direction::backwards;
            const base::revision at{back ? from.value - i : from.value + i};
            if (record.stream != stream || record.revision != at) {
                return wrong_index();
            }
            if ((record.flags & format::record_flag::last_of_stream) != 0) {
                out.whole = out.events.size() + 1;
            }
            return to_event(record);
        });
}

base::result<view_slice> log_reader::read_view(index_view view, std::string_view name,
                                               std::uint64_t from, direction way,
                                               std::size_t count_max,
                                               const read_bounds& bounds) const {
    if (count_max == 0) {
        return no_count();
    }
    const base::position end = head_.end();
    view_slice out;
    const auto size = index_.view_size(view, name, end);
    if (!size) {
        return fail(size.error());
    }
    out.size = *size;
    out.next = from;
    const bool back = way == direction::backwards;
    if (out.size == 0 || (!back && from >= out.size)) {
        return out;
    }
    read_meter meter(clock_, bounds);
    const auto positions =
        index_.view_positions(view, name, from, way, std::min(count_max, meter.left()), end);
    if (!positions) {
        return fail(positions.error());
    }
    if (positions->empty()) {
        return wrong_index();
    }
    const std::uint64_t first = back ? std::min(from, out.size - 1) : from; // of what is read
    out.entries.reserve(positions->size());
    const auto read = collect_into<view_slice::entry>(
        out.entries, *positions, way, end, meter,
        [&](const record_view& record, std::size_t i) -> base::result<view_slice::entry> {
            return view_slice::entry{back ? first - i : first + i, to_event(record)};
        });
    if (!read) {
        return fail(read.error());
    }
    if (back) {
        out.end = *read > first;
        out.next = out.end ? 0 : first - *read;
    } else {
        out.next = first + *read;
        out.end = out.next >= out.size;
    }
    return out;
}

base::result<std::vector<bool>>
log_reader::are_shown(std::span<const recorded_event* const> events) {
    std::vector<bool> out;
    out.reserve(events.size());
    std::unordered_map<std::string_view, shown_part> parts;
    for (const recorded_event* event : events) {
        auto known = parts.find(event->stream);
        if (known == parts.end()) {
            auto part = part_of(event->stream);
            if (!part) {
                return fail(std::move(part.error()));
            }
            known = parts.emplace(event->stream, *part).first;
        }
        const shown_part& part = known->second;
        out.push_back(!part.tombstoned && !part.soft_deleted && event->revision >= part.lowest);
    }
    return out;
}

base::result<stream_info> log_reader::info(std::string_view stream) {
    const auto part = part_of(stream);
    if (!part) {
        return fail(part.error());
    }
    stream_info out;
    out.last = part->tombstoned ? tombstone_revision : part->last;
    out.soft_deleted = part->soft_deleted;
    out.tombstoned = part->tombstoned;
    if (out.tombstoned || is_metadata_stream(stream)) {
        return out;
    }
    const std::string holder = metadata_stream_of(stream);
    const auto last = index_.last_revision(holder, part->end);
    if (!last) {
        return fail(last.error());
    }
    if (*last) {
        auto event = event_at(holder, **last, part->end);
        if (!event) {
            return fail(std::move(event.error()));
        }
        out.metadata = std::move(*event);
    }
    return out;
}

base::result<std::optional<recorded_event>> log_reader::tombstone(std::string_view stream) const {
    return event_at(stream, tombstone_revision, head_.end());
}

} // namespace immortal::eventlog
