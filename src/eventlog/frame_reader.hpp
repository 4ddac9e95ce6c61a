// Reads the frames of a segment one after another, in large pieces.
#pragma once

#include "base/file.hpp"
#include "eventlog/format.hpp"
#include "eventlog/record.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace immortal::eventlog {

// Valid until the reader moves on.
struct frame_view {
    format::frame_header header;
    std::span<const std::byte> bytes; // the whole frame

    [[nodiscard]] base::position begin() const { return {header.position}; }
    [[nodiscard]] base::position end() const { return {header.position + header.length}; }
};

class frame_reader {
public:
    // Reads `file`, whose first byte stands at position `first` of the log, from `begin` to `end`
    // (positions). `piece` bytes are asked for at a time.
    frame_reader(base::file& file, base::position first, base::position begin, base::position end,
                 std::size_t piece);

    enum class outcome : std::uint8_t {
        frame,
        end,     // exactly at `end`
        cut_off, // what is left before `end` is too short for what it begins with
        damaged, // no frame begins here, or its header fails its check
    };
    // The frame's header is checked, its records are not.
    [[nodiscard]] base::file_result<outcome> next(frame_view& out);
    // Where the next frame begins, or where reading stopped.
    [[nodiscard]] base::position at() const { return at_; }

private:
    [[nodiscard]] base::file_result<bool> have(std::uint64_t bytes);

    base::file& file_;
    base::position first_;
    base::position at_;
    base::position end_;
    std::size_t piece_;
    std::vector<std::byte> buffer_; // holds the log from buffer_at_ on, buffer_size_ bytes
    base::position buffer_at_;
    std::size_t buffer_size_ = 0;
};

// Walks the records of a frame and checks each.
class record_walk {
public:
    explicit record_walk(const frame_view& frame)
        : rest_(frame.bytes.subspan(sizeof(format::frame_header))),
          at_{frame.header.position + sizeof(format::frame_header)}, left_(frame.header.count) {}

    // False at the end of the frame, or when something is wrong: see damaged().
    [[nodiscard]] bool next(record_view& out);
    [[nodiscard]] bool damaged() const { return damaged_; }
    [[nodiscard]] base::position at() const { return at_; }

private:
    std::span<const std::byte> rest_;
    base::position at_;
    std::uint32_t left_;
    bool damaged_ = false;
};

} // namespace immortal::eventlog
