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
    std::span<const std::byte> bytes; // the whole frame; empty: it was passed over unread

    [[nodiscard]] base::position begin() const { return {header.position}; }
    [[nodiscard]] base::position end() const { return {header.position + header.length}; }
};

// A piece of a file, read ahead, that moves forwards.
class log_window {
public:
    // Of `file`, whose first byte stands at position `first` of the log, up to `end`, from `begin`
    // on. `piece` bytes are asked for at a time. Precondition: first <= begin.
    log_window(base::file& file, base::position first, base::position begin, base::position end,
               std::size_t piece);

    // Whether so many bytes stand at `at`, which never goes back; they are read if need be.
    [[nodiscard]] base::file_result<bool> have(base::position at, std::uint64_t bytes);
    // From `at` on, all that was read; valid until the next have(). Precondition: have(at, 1).
    [[nodiscard]] std::span<const std::byte> from(base::position at) const;
    [[nodiscard]] base::position end() const { return end_; }

private:
    base::file& file_;
    base::position first_;
    base::position end_;
    std::size_t piece_;
    std::vector<std::byte> buffer_; // holds the log from buffer_at_ on, buffer_size_ bytes
    base::position buffer_at_;
    std::size_t buffer_size_ = 0;
};

class frame_reader {
public:
    // As log_window.
    frame_reader(base::file& file, base::position first, base::position begin, base::position end,
                 std::size_t piece)
        : window_(file, first, begin, end, piece), at_(begin) {}

    enum class outcome : std::uint8_t {
        frame,
        end,     // exactly at `end`
        cut_off, // what is left before `end` is too short for what it begins with
        damaged, // no frame begins here, or its header fails its check
    };
    // The frame's header is checked, its records are not. A frame longer than `length_max` is
    // passed over unread: see record_reader.
    [[nodiscard]] base::file_result<outcome> next(frame_view& out,
                                                  std::uint64_t length_max = ~std::uint64_t{0});
    // Where the next frame begins, or where reading stopped.
    [[nodiscard]] base::position at() const { return at_; }

private:
    log_window window_;
    base::position at_;
};

// Reads the records of one frame one after another, in pieces, from any of them on, and checks
// each.
class record_reader {
public:
    // As log_window. `begin`: of a record of the frame; `end`: of the frame.
    record_reader(base::file& file, base::position first, base::position begin, base::position end,
                  std::size_t piece)
        : window_(file, first, begin, end, piece), at_(begin) {}

    enum class outcome : std::uint8_t { record, end, damaged };
    // `out` is valid until the next call.
    [[nodiscard]] base::file_result<outcome> next(record_view& out);
    // Where the next record begins, or where reading stopped.
    [[nodiscard]] base::position at() const { return at_; }

private:
    log_window window_;
    base::position at_;
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
