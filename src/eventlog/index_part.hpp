// A part of the index in memory: the lists of what was added since it began.
//
// A list is named by its kind and a name. A stream's entries are numbered by revision, those of the
// other lists in the order in which they were added.
#pragma once

#include "eventlog/index.hpp"
#include "eventlog/position_list.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace immortal::eventlog {

enum class list_kind : std::uint8_t {
    stream = 0,
    category = 1,
    type = 2,
    correlation = 3,
    streams = 4,
    category_streams = 5,
    frames = 6, // where frames begin, about every 64 KiB; numbered by position
};
[[nodiscard]] list_kind kind_of(index_view view);

struct list_name {
    list_kind kind = list_kind::stream;
    std::uint64_t hash = 0; // of the name
    std::string_view name;

    // The order of lists on disk.
    friend bool operator<(const list_name& a, const list_name& b);
    friend bool operator==(const list_name& a, const list_name& b) = default;
};
[[nodiscard]] list_name make_list_name(list_kind kind, std::string_view name);

struct indexed_list {
    list_name name;
    std::uint64_t first = 0; // of a stream: the revision of positions[0]
    bool ended = false;      // of a stream: the last position is its tombstone's
    position_list positions;
};

// One thread changes it, any threads read it.
class index_part {
public:
    explicit index_part(bool correlations);
    ~index_part();
    index_part(const index_part&) = delete;
    index_part& operator=(const index_part&) = delete;

    void add(base::position frame, std::span<const index_entry> entries);
    // Only what stands in this part; the entries are the newest ones.
    void take_back(base::position frame, std::span<const index_entry> entries);
    [[nodiscard]] std::uint64_t events() const { return events_; } // the changing thread only
    [[nodiscard]] std::size_t bytes() const { return bytes_; }     // about; the same

    // Calls `use` with the list, under the part's mutex; not at all if there is none.
    void with(const list_name& name, const std::function<void(const indexed_list&)>& use) const;
    // The last marked frame at or before `at`.
    [[nodiscard]] std::optional<base::position> frame_before(base::position at) const;

    // When it is no longer changed: everything, in the order of the disk.
    [[nodiscard]] std::vector<const indexed_list*> sorted() const;
    [[nodiscard]] std::span<const base::position> frames() const { return frames_; }

private:
    struct table;
    void add_one(const index_entry& entry);
    void pop(const list_name& name, base::position position);
    void find_stream(std::string_view stream);
    indexed_list* find_or_make(list_kind kind, std::string_view name);
    void push(indexed_list& list, base::position position);

    const bool correlations_;
    mutable std::mutex mutex_;
    std::unique_ptr<table> table_;
    std::deque<indexed_list> lists_; // never move
    std::vector<base::position> frames_;
    std::uint64_t events_ = 0;
    std::size_t bytes_ = 0;
    // Neighbouring events mostly share stream and type: their lists are looked up once.
    indexed_list* stream_ = nullptr;
    indexed_list* category_ = nullptr; // of the stream
    indexed_list* type_ = nullptr;
};

} // namespace immortal::eventlog
