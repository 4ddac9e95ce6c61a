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

namespace detail {

// `number`: the revision, if the oneof holds one.
template <typename Options>
std::optional<std::int64_t> read_expectation(const Options& options,
                                             std::optional<std::uint64_t> number) {
    if (number == end_value || options.has_no_stream()) {
        return expected::no_stream;
    }
    if (number) {
        return *number > value_max ? std::nullopt
                                   : std::optional(static_cast<std::int64_t>(*number));
    }
    if (options.has_any()) {
        return expected::any;
    }
    return options.has_stream_exists() ? std::optional(expected::stream_exists) : std::nullopt;
}

} // namespace detail

// Reads the oneof of AppendReq, DeleteReq and TombstoneReq options. Empty: none chosen, or a number
// beyond value_max (end_value stands for "no stream").
template <typename Options>
[[nodiscard]] std::optional<std::int64_t> read_expected(const Options& options) {
    return detail::read_expectation(
        options, options.has_revision() ? std::optional(options.revision()) : std::nullopt);
}

// The same for BatchAppendReq options.
template <typename Options>
[[nodiscard]] std::optional<std::int64_t> read_expected_position(const Options& options) {
    return detail::read_expectation(options, options.has_stream_position()
                                                 ? std::optional(options.stream_position())
                                                 : std::nullopt);
}

namespace detail {

template <typename Options>
void write_expectation(std::int64_t value, Options& options,
                       void (Options::*set_number)(std::uint64_t)) {
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
        (options.*set_number)(static_cast<std::uint64_t>(value));
    }
}

} // namespace detail

// `value` is a revision, no_stream, any or stream_exists.
template <typename Options>
void write_expected(std::int64_t value, Options& options) {
    detail::write_expectation(value, options, &Options::set_revision);
}

// The same for BatchAppendReq options.
template <typename Options>
void write_expected_position(std::int64_t value, Options& options) {
    detail::write_expectation(value, options, &Options::set_stream_position);
}

// Units of 100 ns since 1970, as decimal text: the form of an event's creation time.
[[nodiscard]] std::string ticks_text(base::utc_time time);
[[nodiscard]] std::int64_t ticks(base::utc_time time);
// Empty: not a number. Parts below a microsecond are cut off.
[[nodiscard]] std::optional<base::utc_time> time_from_ticks(std::string_view text);

} // namespace immortal::esproto
