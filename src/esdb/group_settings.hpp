// How a group of persistent-subscription consumers works. Pure.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace immortal::esdb {

// Who gets the next message.
enum class consumer_strategy : std::uint8_t {
    round_robin,           // the next one with a free slot
    dispatch_to_single,    // the first one until it is full, then the second
    pinned,                // messages of one source stream go to one consumer
    pinned_by_correlation, // messages of one `$correlationId` go to one consumer
};
[[nodiscard]] std::string_view name_of(consumer_strategy strategy); // "RoundRobin", ...
[[nodiscard]] std::optional<consumer_strategy> strategy_named(std::string_view name);

struct group_settings {
    bool resolve_links = false;
    bool extra_statistics = false; // latencies of each connection
    consumer_strategy strategy = consumer_strategy::round_robin;
    std::chrono::milliseconds message_timeout{30'000}; // to an answer; 0: for ever
    std::chrono::milliseconds checkpoint_after{2'000}; // 0: checkpoints by count alone
    std::int32_t min_checkpoint_count = 10;            // processed events before one by time
    std::int32_t max_checkpoint_count = 1'000;         // processed events that make one at once
    std::int32_t max_retry_count = 10;                 // repetitions before a message is parked
    std::int32_t max_subscriber_count = 0;             // 0: any number
    std::int32_t live_buffer_size = 500;    // events taken at once when the group is live
    std::int32_t read_batch_size = 20;      // events read at once while it catches up
    std::int32_t history_buffer_size = 500; // messages that wait for a consumer

    friend bool operator==(const group_settings&, const group_settings&) = default;
};

constexpr std::int32_t group_buffer_max = 100'000; // of any buffer, in messages

// Errors: invalid_argument with a sentence that names the setting.
[[nodiscard]] base::status check(const group_settings& settings);

} // namespace immortal::esdb
