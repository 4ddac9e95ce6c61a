// The Lua scripts of the layered cache. Each is atomic in Redis and one round trip.
//
// Keys of the cache itself
//   cache:generation   16 bytes of text; entries of another generation are misses
//   cache:fresheners   sorted set: freshening process -> last sign of life, ms of Redis' clock
//   cache:sequences    hash: freshening process -> number of its last write
//   ticket:{<key>}     a loader's ticket; void (deleted) as soon as somebody freshens <key>
#pragma once

#include "redis/client.hpp"

#include <string>
#include <string_view>

namespace immortal::cache::scripts {

constexpr std::string_view generation_key = "cache:generation";
constexpr std::string_view fresheners_key = "cache:fresheners";
constexpr std::string_view sequences_key = "cache:sequences";
// A freshening process that gave no sign of life for so long is struck off; until then nobody
// trusts Redis. It must be started again under its name sooner, or be gone for good.
constexpr std::string_view forgotten_after_ms = "600000";

[[nodiscard]] std::string ticket_key(std::string_view key);

// keys: key, its ticket, generation, fresheners, sequences
// values: generation to begin with, lease ms, identity, after or -1, ticket to take, ticket ttl ms,
//         ms before the end of an entry's life in which one reader is asked to refresh it,
//         own process or "", least sequence expected of it, the same ms for an absent entry
// reply: {generation, "overdue", "lost" (what this process wrote is gone) or "", entry or nil,
//         ticket or nil}
[[nodiscard]] const redis::script& lookup();

// keys: key, its ticket, generation
// values: ticket, generation of the lookup, entry without generation, ttl ms
// reply: 1 stored, 0 ticket void, -1 something newer is there
[[nodiscard]] const redis::script& fill();

// keys: generation, fresheners, sequences, then key and ticket of each entry
// values: process, lease ms, least sequence expected, sequence of this write, channel, message,
// then
//         for each entry: mode ("set", or "mark": only if an entry is there), entry, ttl ms
// reply: {1 done or 0 lease lost (nothing was written), generation, entries written}
[[nodiscard]] const redis::script& freshen();

// The lease alone, and the channel's sign of life if every lease is in force.
// keys: generation, fresheners, sequences; values: process, lease ms, least sequence expected,
// sequence of this write, channel, message, ms after which a process is struck off
// reply: {1 or 0, generation}
[[nodiscard]] const redis::script& beat();

// A new generation: every entry and every ticket from before is worthless.
// keys: generation, fresheners, sequences
// values: new generation, process, sequence, channel, message, ms after which ...
// reply: generation
[[nodiscard]] const redis::script& renew();

// keys: key; values: bytes. Deletes the key if it still begins with these bytes, or is no string.
[[nodiscard]] const redis::script& discard();

} // namespace immortal::cache::scripts
