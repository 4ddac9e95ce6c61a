// Whether the revisions of every stream of a log follow each other, in bounded memory.
//
// One reading of the log checks as many streams as fit: those whose names' hashes are smallest.
// When there are more, the others are checked by further readings, each beginning where the one
// before ended in the order of the hashes. Nothing is written: the disk may be full, and a check
// that needs space cannot be run when it is needed most.
#pragma once

#include "base/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <unordered_map>

namespace immortal::eventlog {

// Not thread-safe.
class revision_check {
public:
    // About 64 bytes a stream.
    static constexpr std::size_t streams_default = 1u << 21u;

    explicit revision_check(std::size_t streams_max);

    // The next event of the log. False: its revision is not the one after its stream's last, nor
    // the tombstone's. True for a stream that this reading does not check. A stream may be given up
    // on the way and begun anew by a later reading, which finds its events again.
    [[nodiscard]] bool follows(std::string_view stream, base::revision revision);

    // Begins another reading, from the log's first event on. False: every stream was checked.
    [[nodiscard]] bool begin_next_reading();
    // Streams that the reading under way holds; at most one more than `streams_max`.
    [[nodiscard]] std::size_t held() const { return next_.size(); }

private:
    struct key {
        std::uint64_t order = 0;
        std::uint64_t rest = 0;
        friend bool operator==(const key&, const key&) = default;
    };
    struct hash_of_key {
        std::size_t operator()(const key& one) const noexcept { return one.rest; }
    };
    static key key_of(std::string_view stream);
    void make_room();

    std::size_t streams_max_;
    std::uint64_t first_ = 0; // of the orders that this reading checks
    std::uint64_t last_ = std::numeric_limits<std::uint64_t>::max();
    std::unordered_map<key, std::uint64_t, hash_of_key> next_; // revision
};

} // namespace immortal::eventlog
