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

std::unexpected<base::error> wrong_index() {
    return fail(errc::corrupt, "the index names another stream's event: delete the index folder "
                               "and start again");
}

std::unexpected<base::error> no_count() {
    return fail(errc::invalid_argument, "a read asks for at least one event", {}, "count");
}

} // namespace

base::result<std::optional<recorded_event>>
log_reader::event_at(std::string_view stream, base::revision at, base::position end) const {
    const auto places = index_.stream_positions(stream, at, direction::forwards, 1, end);
    if (!places) {
        return fail(places.error());
    }
    if (places->empty()) {
        return std::nullopt;
    }
    std::vector<std::byte> buffer;
    const auto record = read_record(places->front(), end, buffer);
    if (!record) {
        return fail(record.error());
    }
    if (record->stream != stream) {
        return wrong_index();
    }
    const bool there = record->revision == at && !record->removed();
    return there ? std::optional(to_event(*record)) : std::nullopt;
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

base::result<stream_slice> log_reader::read_stream(std::string_view stream, base::revision from,
                                                   direction way, std::size_t count_max) {
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
    // A page that a scavenge emptied is passed over: an empty one means the end.
    for (base::revision at = start; out.events.empty() && left > 0;) {
        const auto read =
            read_page(stream, at, way, std::min<std::uint64_t>(count_max, left), part->end, out);
        if (!read) {
            return fail(read.error());
        }
        left -= *read;
        at.value = back ? at.value - *read : at.value + *read;
    }
    if (!out.events.empty()) {
        out.next_readable = out.events.front().revision;
    }
    out.end = left == 0;
    return out;
}

base::result<std::uint64_t> log_reader::read_page(std::string_view stream, base::revision from,
                                                  direction way, std::uint64_t count,
                                                  base::position end, stream_slice& out) const {
    auto positions = index_.stream_positions(stream, from, way, count, end);
    if (!positions) {
        return fail(positions.error());
    }
    if (positions->empty()) {
        return wrong_index();
    }
    const bool back = way == direction::backwards;
    if (back) {
        std::ranges::reverse(*positions);
    }
    out.events.reserve(positions->size());
    auto read =
        collect(*positions, end, [&](const record_view& record, std::size_t) -> base::status {
            if (record.stream != stream) {
                return wrong_index();
            }
            out.events.push_back(to_event(record));
            if ((record.flags & format::record_flag::last_of_stream) != 0) {
                out.whole = out.events.size();
            }
            return {};
        });
    if (!read) {
        return fail(std::move(read.error()));
    }
    if (back) {
        std::ranges::reverse(out.events);
    }
    return positions->size();
}

base::result<view_slice> log_reader::read_view(index_view view, std::string_view name,
                                               std::uint64_t from, direction way,
                                               std::size_t count_max) const {
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
    auto positions = index_.view_positions(view, name, from, way, count_max, end);
    if (!positions) {
        return fail(positions.error());
    }
    const std::uint64_t count = positions->size();
    // The number of the first of them in log order.
    std::uint64_t first = from;
    if (back) {
        std::ranges::reverse(*positions);
        first = std::min(from, out.size - 1) + 1 - count;
    }
    out.entries.reserve(count);
    auto read =
        collect(*positions, end, [&](const record_view& record, std::size_t i) -> base::status {
            out.entries.push_back({first + i, to_event(record)});
            return {};
        });
    if (!read) {
        return fail(std::move(read.error()));
    }
    if (back) {
        std::ranges::reverse(out.entries);
        out.end = first == 0;
        out.next = out.end ? 0 : first - 1;
    } else {
        out.next = first + count;
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
