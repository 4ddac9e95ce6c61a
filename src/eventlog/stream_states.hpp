// Bounded cache of the state of the streams written lately, for the writer: at least half of the
// capacity, at most all of it. Used by one thread.
#pragma once

#include "base/ids.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::eventlog {

struct stream_state {
    std::optional<base::revision> last;          // tombstone_revision: tombstoned
    std::optional<base::revision> last_metadata; // of "$$<stream>"; never of a metadata stream
    bool soft_deleted = false;
};

class stream_states {
public:
    explicit stream_states(std::size_t capacity);
    ~stream_states();
    stream_states(const stream_states&) = delete;
    stream_states& operator=(const stream_states&) = delete;

    // Valid until the next call; null: not known here.
    [[nodiscard]] stream_state* find(std::string_view stream);
    // Precondition: not known here.
    void add(std::string_view stream, const stream_state& state);
    void clear();

private:
    struct generations;
    std::unique_ptr<generations> generations_;
};

} // namespace immortal::eventlog
