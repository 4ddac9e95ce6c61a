// What was published and not yet looked at by the board: the names that were touched, copied once,
// whoever is interested in them. Bounded: beyond that it only says that anything was touched.
#pragma once

#include "eventlog/index.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::eventstore {

// Of correlation ids: nearly every event has one of its own.
enum class correlations : std::uint8_t { ignored, kept };

class publication_summary {
public:
    static constexpr std::size_t touches_max = 1u << 16u;
    static constexpr std::size_t names_size_max = 4u << 20u; // bytes

    // Neighbouring events of one stream, type and correlation.
    struct touch {
        std::string_view stream; // valid until the summary is changed
        std::string_view type;
        std::string_view correlation; // empty: none, or ignored
        bool first_event = false;     // event 0 of the stream is one of them
        bool tombstone = false;       // so is the stream's end
    };

    // `end`: of the log, after these events. Without memory for their names, they are not told.
    void add(base::position end, std::span<const eventlog::index_entry> entries,
             correlations ids) noexcept;
    // What was published after this, and its names with it: neither is told any more.
    void absorb(const publication_summary& later);
    void clear();

    [[nodiscard]] bool empty() const { return events_ == 0; }
    // False: too much was touched to be told.
    [[nodiscard]] bool complete() const { return complete_; }
    [[nodiscard]] std::size_t size() const { return touches_.size(); }
    [[nodiscard]] touch operator[](std::size_t place) const;
    // Precondition of both: not empty.
    [[nodiscard]] base::position end() const { return end_; }
    [[nodiscard]] base::position last_event() const { return last_event_; }
    [[nodiscard]] std::uint64_t events() const { return events_; }

private:
    struct stored_touch {
        std::uint32_t begin = 0; // in `names_`: stream, type, correlation
        std::uint16_t stream_size = 0;
        std::uint16_t type_size = 0;
        std::uint16_t correlation_size = 0;
        bool first_event = false;
        bool tombstone = false;
    };
    void add_touch(const eventlog::index_entry& entry, std::string_view correlation);

    std::string names_;
    std::vector<stored_touch> touches_;
    base::position end_;
    base::position last_event_;
    std::uint64_t events_ = 0;
    bool complete_ = true;
};

} // namespace immortal::eventstore
