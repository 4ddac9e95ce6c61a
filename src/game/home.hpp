// What a command leaves behind on its home stream besides the domain's events: its id, a hash of
// its request, its answer. They stand in the metadata of the events; a `command_memory` keeps, of
// the last 256 of a stream, id, hash, and the event where the answer is to be read.
//
// Metadata is one JSON object; all values are strings:
//   $correlationId, $causationId, commandId, actor, schemaVersion, at, and, on the home stream's
//   first event of the command: requestHash (32 hexadecimal digits), outcome (a JSON object as
//   text).
#pragma once

#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "eventlog/event.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::game {

constexpr std::size_t commands_remembered = 256;
constexpr std::int64_t schema_version = 1;

using request_hash = std::array<std::uint8_t, 16>;

struct command_record {
    base::uuid command_id;
    game::request_hash request{};
    base::revision revision; // of the command's first event on the home stream: it has the answer
    base::position position; // of its last event there
    friend bool operator==(const command_record&, const command_record&) = default;
};

// What metadata of a stored event says; absent parts are empty.
struct event_metadata {
    std::optional<base::uuid> command_id;
    std::optional<game::request_hash> request; // with `outcome`
    std::string outcome;
    std::string actor;
    std::string correlation_id;
    std::string causation_id;
    std::optional<base::utc_time> at;
};
// Never fails: metadata of strangers is simply without our parts.
[[nodiscard]] event_metadata parse_metadata(std::string_view text);

struct metadata_parts {
    base::uuid command_id;
    std::string_view actor;
    base::utc_time at;
};
// Without outcome; and the same with it, for the home stream's first event.
[[nodiscard]] std::string make_metadata(const metadata_parts& parts);
[[nodiscard]] std::string make_home_metadata(const metadata_parts& parts,
                                             const game::request_hash& request,
                                             std::string_view outcome);

// The last `commands_remembered` commands of one stream, oldest first.
class command_memory {
public:
    // Null if it is not (or no longer) remembered.
    [[nodiscard]] const command_record* find(const base::uuid& command) const noexcept;
    void remember(command_record what);
    // What a stored event of the stream adds.
    void evolve(std::string_view metadata, base::revision revision, base::position at);
    [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
    // About, in bytes.
    [[nodiscard]] std::size_t memory() const noexcept {
        return records_.size() * sizeof(command_record);
    }

    [[nodiscard]] base::json::array encode() const;
    [[nodiscard]] static base::result<command_memory> decode(const base::json::array& in);
    friend bool operator==(const command_memory&, const command_memory&) = default;

private:
    std::deque<command_record> records_;
};

// An aggregate with what the commands on its stream left behind.
template <typename State>
struct home {
    State state;
    command_memory commands;
    std::optional<base::revision> revision; // of the last event folded
    friend bool operator==(const home&, const home&) = default;
};

// Folds one stored event. Precondition: it is the next one of the stream. Errors: corrupt.
template <typename State>
[[nodiscard]] base::status fold(home<State>& on, const eventlog::recorded_event& event) {
    if (auto done = evolve(on.state, event.type, event.data); !done) {
        return base::fail(std::move(done.error()));
    }
    on.commands.evolve(event.metadata, event.revision, event.position);
    on.revision = event.revision;
    return {};
}

// --- snapshots: data of the event `Snapshot` in `snapshot_<category>-<id>` ---
constexpr const char* snapshot_type = "Snapshot";
constexpr std::string_view snapshot_prefix = "snapshot_";

[[nodiscard]] std::string snapshot_stream_of(std::string_view stream); // "snapshot_" + stream
[[nodiscard]] std::string encode_snapshot_text(const base::json::value& state,
                                               const command_memory& commands,
                                               base::revision revision);
struct snapshot_parts {
    base::json::value state;
    command_memory commands;
    base::revision revision;
};
// Errors: corrupt; mismatch (of another rules version).
[[nodiscard]] base::result<snapshot_parts> decode_snapshot_text(std::string_view data);

// Precondition: at least one event has been folded.
template <typename State>
[[nodiscard]] std::string encode_snapshot(const home<State>& of) {
    return encode_snapshot_text(base::encode(of.state), of.commands, *of.revision);
}

template <typename State>
[[nodiscard]] base::result<home<State>> decode_snapshot(std::string_view data) {
    auto parts = decode_snapshot_text(data);
    if (!parts) {
        return base::fail(std::move(parts.error()));
    }
    auto state = base::decode<State>(parts->state, base::unknown_fields::refused);
    if (!state) {
        return base::fail(base::errc::corrupt, "snapshot: " + state.error().message);
    }
    return home<State>{std::move(*state), std::move(parts->commands), parts->revision};
}

} // namespace immortal::game
