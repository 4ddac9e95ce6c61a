#include "esdb/group_settings.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace immortal::esdb {
namespace {

constexpr std::array<std::pair<consumer_strategy, std::string_view>, 4> strategies{{
    {consumer_strategy::round_robin, "RoundRobin"},
    {consumer_strategy::dispatch_to_single, "DispatchToSingle"},
    {consumer_strategy::pinned, "Pinned"},
    {consumer_strategy::pinned_by_correlation, "PinnedByCorrelation"},
}};

base::status within(std::string_view name, std::int64_t value, std::int64_t least,
                    std::int64_t most) {
    if (value >= least && value <= most) {
        return {};
    }
    return base::fail(base::errc::invalid_argument,
                      fmt::format("{} is {}, not between {} and {}.", name, value, least, most));
}

} // namespace

std::string_view name_of(consumer_strategy strategy) {
    return strategies.at(static_cast<std::size_t>(strategy)).second;
}

std::optional<consumer_strategy> strategy_named(std::string_view name) {
    for (const auto& [strategy, text] : strategies) {
        if (text == name) {
            return strategy;
        }
    }
    return std::nullopt;
}

base::status check(const group_settings& in) {
    constexpr std::int64_t any = INT32_MAX;
    for (const auto& checked :
         {within("The message timeout", in.message_timeout.count(), 0, any),
          within("The time between checkpoints", in.checkpoint_after.count(), 0, any),
          within("The minimum checkpoint count", in.min_checkpoint_count, 0, any),
          within("The maximum checkpoint count", in.max_checkpoint_count, 0, any),
          within("The maximum retry count", in.max_retry_count, 0, any),
          within("The maximum subscriber count", in.max_subscriber_count, 0, any),
          within("The live buffer size", in.live_buffer_size, 0, group_buffer_max),
          within("The read batch size", in.read_batch_size, 1, group_buffer_max),
          within("The history buffer size", in.history_buffer_size, 1, group_buffer_max)}) {
        if (!checked) {
            return checked;
        }
    }
    if (in.read_batch_size >= in.history_buffer_size) {
        return base::fail(base::errc::invalid_argument,
                          "The read batch size must be smaller than the history buffer size.");
    }
    return {};
}

} // namespace immortal::esdb
