// Between the protocol's messages and our own types. Everything here is a pure function, callable
// from any thread.
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/uuid.hpp"
#include "esproto/wire/shared.pb.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::esproto {

namespace wire = ::event_store::client;

enum class uuid_form : std::uint8_t { structured, string };

void write_uuid(const base::uuid& id, uuid_form form, wire::UUID& out);
// Either form; as text also without hyphens and in braces. Empty: no value, or not an identifier.
[[nodiscard]] std::optional<base::uuid> read_uuid(const wire::UUID& in);

// Expectations as the protocol's own numbers: a revision, or one of these.
namespace expected {
constexpr std::int64_t no_stream = -1;
constexpr std::int64_t any = -2;
constexpr std::int64_t stream_exists = -4;
constexpr std::int64_t soft_deleted = -5; // consistency checks of version 2 only
constexpr std::int64_t tombstoned = -6;   // consistency checks of version 2 only
} // namespace expected

// Stands for "the end" (or "unknown") wherever a position or revision is told.
constexpr std::uint64_t end_value = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t value_max =
    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// Revisions and positions are at most value_max, or end_value; a commit position is never smaller
// than its prepare position.
[[nodiscard]] constexpr bool is_legal(std::uint64_t value) {
    return value <= value_max || value == end_value;
}
[[nodiscard]] constexpr bool is_legal(std::uint64_t commit, std::uint64_t prepare) {
    return is_legal(commit) && is_legal(prepare) && commit >= prepare;
}

// Reads the oneof of AppendReq, DeleteReq and TombstoneReq options. Empty: none chosen, or a number
// beyond value_max (end_value stands for "no stream").
template <typename Options>
[[nodiscard]] std::optional<std::int64_t> read_expected(const Options& options) {
    switch (options.expected_stream_revision_case()) {
    case Options::kRevision:
        if (options.revision() == end_value) {
            return expected::no_stream;
        }
        if (options.revision() > value_max) {
            return std::nullopt;
        }
        return static_cast<std::int64_t>(options.revision());
    case Options::kNoStream:
        return expected::no_stream;
    case Options::kAny:
        return expected::any;
    case Options::kStreamExists:
        return expected::stream_exists;
    default:
        return std::nullopt;
    }
}

// `value` is a revision, no_stream, any or stream_exists.
template <typename Options>
void write_expected(std::int64_t value, Options& options) {
    switch (value) {
    case expected::no_stream:
        options.mutable_no_stream();
        break;
    case expected::any:
        options.mutable_any();
        break;
    case expected::stream_exists:
        options.mutable_stream_exists();
        break;
    default:
        options.set_revision(static_cast<std::uint64_t>(value));
    }
}

// The same for BatchAppendReq options.
template <typename Options>
[[nodiscard]] std::optional<std::int64_t> read_expected_position(const Options& options) {
    switch (options.expected_stream_position_case()) {
    case Options::kStreamPosition:
        if (options.stream_position() == end_value) {
            return expected::no_stream;
        }
        if (options.stream_position() > value_max) {
            return std::nullopt;
        }
        return static_cast<std::int64_t>(options.stream_position());
    case Options::kNoStream:
        return expected::no_stream;
    case Options::kAny:
        return expected::any;
    case Options::kStreamExists:
        return expected::stream_exists;
    default:
        return std::nullopt;
    }
}

template <typename Options>
void write_expected_position(std::int64_t value, Options& options) {
    switch (value) {
    case expected::no_stream:
        options.mutable_no_stream();
        break;
    case expected::any:
        options.mutable_any();
        break;
    case expected::stream_exists:
        options.mutable_stream_exists();
        break;
    default:
        options.set_stream_position(static_cast<std::uint64_t>(value));
    }
}

// Units of 100 ns since 1970, as decimal text: the form of an event's creation time.
[[nodiscard]] std::string ticks_text(base::utc_time time);
[[nodiscard]] std::int64_t ticks(base::utc_time time);
// Empty: not a number. Parts below a microsecond are cut off.
[[nodiscard]] std::optional<base::utc_time> time_from_ticks(std::string_view text);

} // namespace immortal::esproto
