// A leaderboard as a sorted set in Redis, with proof of what it contains.
//
// Order: score descending, then the position at which the score was reached (earlier first), then
// the player's id (bytes ascending). In SQL: ORDER BY score DESC, position ASC, player_id ASC.
//
//   leaderboard:<board>          sorted set: score -> member, 24 bytes: 2^53 - 1 - position
//                                (8, big-endian) and the complement of the id (16), so that Redis'
//                                descending order of equal scores is the order above
//   leaderboard:<board>:players  hash: id (16 bytes) -> '+' or '-' (removed), 2^53 - 1 - position
//   (8) leaderboard:<board>:meta     hash: identity, generation, and p<lane>: everything up to this
//                                position of that lane is contained
//   leaderboard:<board>:new[:players|:meta]  the next generation while it is built (meta: also
//                                f<lane>: where its first update began; gap: one was missed)
//
// A lane is a projector's partition: lanes advance independently. Whenever an update does not join
// what the board contains (an outage, older data, nothing there), the board says `behind` until it
// was rebuilt; meanwhile SQL answers.
#pragma once

#include "base/ids.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/uuid.hpp"
#include "redis/client.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::cache {

using boost::asio::awaitable;

constexpr std::int64_t score_max = (std::int64_t{1} << 53) - 1;
constexpr std::size_t lanes_max = 64;

struct score_change {
    base::uuid player;
    std::optional<std::int64_t> score; // 0 to score_max; empty: takes the player off the board
    base::position position;           // the event that brought the score; older changes lose
};

// The changes of all events in (from, to] of the lanes in the mask.
struct score_batch {
    std::uint64_t lanes = 1; // bit i: lane i
    base::position from;
    base::position to;
    std::vector<score_change> changes;
};

struct board_row {
    std::uint64_t rank = 0; // from 1
    base::uuid player;
    std::int64_t score = 0;
    base::position position;
};

struct board_page {
    base::position as_of; // everything up to here is contained
    std::uint64_t total = 0;
    std::vector<board_row> rows;
};

struct board_rank {
    base::position as_of;
    std::uint64_t total = 0;
    std::optional<board_row> row; // empty: the player is not on the board
};

// Thread-safe. `redis` and `random` must outlive it.
class leaderboard {
public:
    struct settings {
        std::string board; // [a-z_]+, for example "cultivation"
        base::log_identity identity;
        std::size_t lanes = 1;                 // at most lanes_max; the same in every process
        std::chrono::milliseconds lease{2000}; // as in cache::settings
    };
    leaderboard(redis::client& redis, base::random_source& random, base::metrics& metrics,
                settings settings);
    ~leaderboard();
    leaderboard(const leaderboard&) = delete;
    leaderboard& operator=(const leaderboard&) = delete;

    // Applies a batch; the position moves with its end. behind: the board does not contain
    // everything up to `from` (or is not there): rebuild it; a rebuild in progress has taken the
    // batch all the same. unavailable, timeout: the batch may be missing, the next one will find
    // out. A projector that starts asks with an empty batch at its checkpoint. Batches of one lane
    // are given one after the other.
    awaitable<base::status> update(score_batch batch);

    // All rows of a consistent SQL snapshot, page by page: an empty page ends it.
    using row_source = std::function<awaitable<base::result<std::vector<score_change>>>()>;
    struct snapshot {
        std::vector<base::position> positions; // per lane, as of the snapshot
        row_source next_page;
    };
    // Builds a new generation and puts it in place atomically. `open` is called once the new
    // generation takes updates, so every change is either in the snapshot or in an update.
    // conflict: another rebuild took over, or an update was missed meanwhile: try again.
    awaitable<base::status> rebuild(std::function<awaitable<base::result<snapshot>>()> open);

    // behind: the board is not there, is being rebuilt, cannot be trusted now (a freshening process
    // is overdue), or does not reach `after`: ask SQL. limit: 1 to 1000.
    awaitable<base::result<board_page>> top(std::uint32_t limit, std::uint64_t offset,
                                            std::optional<base::position> after = {});
    awaitable<base::result<board_rank>> rank(base::uuid player,
                                             std::optional<base::position> after = {});

    // Compares what the board says it contains with what this process knows it put there; a board
    // that lost something is marked as not there. Hook for layered_cache::on_generation_change.
    awaitable<void> verify();

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::cache
