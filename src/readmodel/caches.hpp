// The caches that the projector freshens and the views read.
#pragma once

#include "readmodel/rows.hpp"

namespace immortal::cache {
class layered_cache;
class leaderboard;
} // namespace immortal::cache

namespace immortal::readmodel {

// Each may be null; they outlive their users.
struct caches {
    cache::layered_cache* entries = nullptr;
    // Named as the boards; with `partition_count` lanes.
    cache::leaderboard* cultivation = nullptr;
    cache::leaderboard* level = nullptr;
    cache::leaderboard* wealth = nullptr;

    [[nodiscard]] cache::leaderboard* of(board which) const noexcept {
        return which == board::cultivation ? cultivation : which == board::level ? level : wealth;
    }
};

} // namespace immortal::readmodel
