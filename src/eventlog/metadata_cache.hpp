// The metadata of streams as readers see it. Bounded, thread-safe.
//
// A reader that finds nothing looks into the log and keeps what it found under the ticket it got
// before it asked how far the log is durable. The writer forgets a stream's metadata after it moved
// the durable head and before it acknowledges, which voids the tickets given before. So what is
// found here is never older than the last acknowledged write.
#pragma once

#include "eventlog/stream_metadata.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace immortal::eventlog {

class metadata_cache {
public:
    using pointer = std::shared_ptr<const stream_metadata>; // null: the stream has none

    explicit metadata_cache(std::size_t capacity);

    struct answer {
        bool known = false;
        pointer metadata;         // if known
        std::uint64_t ticket = 0; // if not
    };
    [[nodiscard]] answer find(std::string_view stream);
    // Keeps nothing if something was forgotten meanwhile.
    void keep(std::string_view stream, std::uint64_t ticket, pointer metadata);
    void forget(std::string_view stream);

private:
    struct hash_text {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const;
    };
    using table = std::unordered_map<std::string, pointer, hash_text, std::equal_to<>>;
    struct shard { // two generations: when the younger is full, the older is dropped
        std::mutex mutex;
        table young;
        table old;
        std::uint64_t version = 0;
    };
    static constexpr std::size_t shard_count = 64;

    shard& shard_of(std::string_view stream);
    void put(shard& in, std::string_view stream, pointer metadata);

    std::size_t half_; // of one shard
    std::array<shard, shard_count> shards_;
};

} // namespace immortal::eventlog
