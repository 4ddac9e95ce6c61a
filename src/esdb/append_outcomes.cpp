#include "esdb/append_outcomes.hpp"

#include "runtime/deadline.hpp"

namespace immortal::esdb {

awaitable<base::result<eventstore::append_outcome>>
append_within(eventstore::event_store& store, std::vector<eventstore::stream_write> writes,
              std::chrono::milliseconds limit) {
    return runtime::with_deadline(store.append(std::move(writes)), limit);
}

awaitable<std::optional<std::int64_t>> current_version(eventstore::event_store& store,
                                                       std::string stream) {
    const auto info = co_await store.info(std::move(stream));
    if (!info) {
        co_return std::nullopt;
    }
    co_return info->last ? static_cast<std::int64_t>(info->last->value) : -1;
}

awaitable<base::status> may_write(const service_context& context, principal who,
                                  std::string stream) {
    return context.rules.may_access(std::move(who), stream_right::write, std::move(stream));
}

std::optional<std::string> name_fault(const std::string& stream) {
    if (stream.empty() || stream.size() > eventlog::stream_name_size_max) {
        return "A stream name has 1 to 1024 bytes.";
    }
    if (stream == "$all") {
        return "The stream '$all' cannot be written.";
    }
    return std::nullopt;
}

} // namespace immortal::esdb
