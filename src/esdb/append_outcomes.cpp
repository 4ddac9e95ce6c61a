#include "esdb/append_outcomes.hpp"

namespace immortal::esdb {

awaitable<base::result<eventstore::append_outcome>>
append_within(eventstore::event_store& store, std::vector<eventstore::stream_write> writes,
              std::chrono::milliseconds limit, std::shared_ptr<void> charge,
              std::shared_ptr<std::vector<eventstore::unmet_expectation>> unmet) {
    auto outcome = co_await store.append(
        std::move(writes),
        {.limit = limit, .charge = std::move(charge), .unmet = std::move(unmet)});
    if (!outcome && outcome.error().code == base::errc::unavailable &&
        outcome.error().reason == "deadline") {
        // Official clients take UNAVAILABLE for a lost node and look for another one.
        outcome.error().code = base::errc::timeout;
    }
    co_return outcome;
}

awaitable<std::optional<std::int64_t>>
current_version(eventstore::event_store& store, std::string stream,
                std::shared_ptr<std::vector<eventstore::unmet_expectation>> unmet) {
    if (!unmet->empty()) { // of the only stream
        const auto& found = unmet->front();
        if (found.last) {
            co_return static_cast<std::int64_t>(found.last->value);
        }
        if (found.actual == eventstore::unmet_expectation::standing::absent) {
            co_return -1;
        }
    }
    const auto info = co_await store.info(std::move(stream));
    if (!info) {
        co_return std::nullopt;
    }
    co_return info->last ? static_cast<std::int64_t>(info->last->value) : -1;
}

bool is_stream_name(const std::string& stream) {
    return !stream.empty() && stream.size() <= eventlog::stream_name_size_max;
}

stream_needs needs_of(const std::string& stream, stream_right right) {
    return name_fault(stream) ? stream_needs{} : stream_needs{{stream, right}};
}

std::optional<std::string> name_fault(const std::string& stream) {
    if (!is_stream_name(stream)) {
        return "A stream name has 1 to 1024 bytes.";
    }
    if (stream == "$all") {
        return "The stream '$all' cannot be written.";
    }
    return std::nullopt;
}

} // namespace immortal::esdb
