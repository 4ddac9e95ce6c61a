// One record of the log as its bytes stand in memory.
#pragma once

#include "eventlog/event.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace immortal::eventlog {

// Views into the bytes it was parsed from; valid as long as they are.
struct record_view {
    base::position position;
    base::revision revision;
    base::uuid id;
    base::utc_time created;
    std::uint32_t length = 0; // of the whole record, bytes
    std::uint16_t flags = 0;  // record_flag, format.hpp
    std::string_view stream;
    std::string_view type;
    std::string_view metadata;
    std::string_view data;

    [[nodiscard]] base::position end() const { return {position.value + length}; }
    [[nodiscard]] bool last_in_batch() const;
    // By a scavenge: the data is gone, of the metadata only `$correlationId` is left. To be counted
    // and never shown.
    [[nodiscard]] bool removed() const;
};

[[nodiscard]] recorded_event to_event(const record_view& record);

enum class parse_outcome : std::uint8_t {
    good,
    incomplete, // the bytes end before the record does
    damaged,    // checksum, position or lengths are wrong
};

// Parses and checks the record that begins at bytes[0], whose place in the log is `at`.
[[nodiscard]] parse_outcome parse_record(std::span<const std::byte> bytes, base::position at,
                                         record_view& out);

} // namespace immortal::eventlog
