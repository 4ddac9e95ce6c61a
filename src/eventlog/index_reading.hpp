// Answers of the index from its parts in memory and what stands before them.
#pragma once

#include "eventlog/index_part.hpp"

namespace immortal::eventlog {

// The older part of the index; entries at or after `limit` do not count. Thread-safe.
class older_lists {
public:
    virtual ~older_lists() = default;
    // The last marked frame at or before `at`; {0}: none.
    [[nodiscard]] virtual base::result<base::position> frame_before(base::position at) const = 0;
    // The last entry's number; empty: none.
    [[nodiscard]] virtual base::result<std::optional<std::uint64_t>>
    last_number(const list_name& list, base::position limit) const = 0;
    // Positions of the entries numbered `highest` or lower, down to `lowest`, at most `count_max`,
    // in descending order.
    [[nodiscard]] virtual base::result<std::vector<base::position>>
    descend(const list_name& list, std::uint64_t highest, std::uint64_t lowest,
            std::size_t count_max, base::position limit) const = 0;
};

// What a reader sees: an instant of the index.
struct index_instant {
    std::shared_ptr<const older_lists> older; // may be null: nothing stands before the parts
    base::position older_end;                 // it counts up to here
    std::vector<std::shared_ptr<const index_part>> parts; // ascending

    [[nodiscard]] base::result<std::optional<base::revision>>
    last_revision(std::string_view stream, base::position end) const;
    [[nodiscard]] base::result<std::vector<base::position>>
    stream_positions(std::string_view stream, base::revision from, direction way,
                     std::size_t count_max, base::position end) const;
    [[nodiscard]] base::result<std::uint64_t> size(const list_name& list, base::position end) const;
    [[nodiscard]] base::result<std::vector<base::position>>
    view_positions(const list_name& list, std::uint64_t from, direction way, std::size_t count_max,
                   base::position end) const;
    [[nodiscard]] base::result<base::position> frame_before(base::position at) const;
};

} // namespace immortal::eventlog
