// The Lua scripts of the leaderboards. In all of them a change is four values: id (16 bytes),
// complement of the id (16), score or "-", 2^53 - 1 - position (8, big-endian).
#pragma once

#include "redis/client.hpp"

namespace immortal::cache::scripts {

// keys: set, players, meta, then the same three of the next generation
// values: identity, from, to, number of lanes, lanes ..., changes ...
// reply: 1 applied, 0 behind
[[nodiscard]] const redis::script& board_update();

// keys: set, players, meta of the next generation; values: identity, generation, life in seconds
[[nodiscard]] const redis::script& board_begin();
// keys: as board_begin; values: generation, life in seconds, changes ...
// reply: 1, or 0: another rebuild took over
[[nodiscard]] const redis::script& board_load();
// keys: as board_update; values: generation, position of each lane ...
// reply: 1, or 0: taken over, or an update was missed
[[nodiscard]] const redis::script& board_finish();

// keys: set, meta, fresheners; values: identity, after or -1, lanes, lease ms, first and last rank
// (from 0)
// reply: {"behind"}, or {"ok", as of, total, {member, score, ...}}
[[nodiscard]] const redis::script& board_top();
// keys: set, meta, fresheners, players
// values: identity, after or -1, lanes, lease ms, id, complement of the id
// reply: {"behind"}, or {"ok", as of, total, rank from 0 or nil, score, inverted position}
[[nodiscard]] const redis::script& board_rank();
// keys: meta; values: position of each lane. Deletes meta if it contains less. reply: deleted
[[nodiscard]] const redis::script& board_verify();

} // namespace immortal::cache::scripts
