#include "eventlog/index_check.hpp"

#include "eventlog/correlation.hpp"

#include <vector>

namespace immortal::eventlog {

std::optional<std::string> missing_entry(log_index& index, const log_reader& reader,
                                         const log_place& place, base::position end,
                                         bool correlations) {
    if (place.events == 0) {
        return std::nullopt;
    }
    const base::position at = place.last_event;
    std::vector<std::byte> bytes;
    const auto record = reader.read_record(at, end, bytes);
    if (!record) {
        return std::nullopt; // who reads there meets it
    }
    std::string buffer;
    const std::string_view correlation = correlation_of(record->metadata, buffer);
    const index_entry entry{record->stream, record->type, correlation, record->revision, at};
    const base::position after{at.value + 1};
    const auto last = index.last_revision(entry.stream, after);
    if (last && *last != entry.revision) {
        return "the newest event of a stream is missing in it";
    }
    std::optional<std::string> missing;
    visit_views(entry, correlations, [&](index_view view, std::string_view name) {
        const auto newest =
            index.view_positions(view, name, ~std::uint64_t{0}, direction::backwards, 1, after);
        if (newest && (newest->empty() || newest->front() != at)) {
            missing = "the newest event of a list is missing in it";
        }
    });
    return missing;
}

} // namespace immortal::eventlog
