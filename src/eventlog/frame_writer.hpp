// Encodes appends as frames.
#pragma once

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "eventlog/event.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace immortal::eventlog {

// Bytes that grow without being cleared first, for a large write to a file. Used by one thread.
class byte_buffer {
public:
    // Where in its file the first byte will stand: its address will agree with that modulo
    // base::disk_page. Precondition: empty.
    void begin_at(std::uint64_t offset);
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {first(), size_}; }
    void clear(); // gives back memory beyond what a usual group needs
    [[nodiscard]] std::span<std::byte> extend(std::size_t by);

private:
    struct give_back {
        void operator()(std::byte* pages) const;
    };
    [[nodiscard]] std::byte* first() const { return pages_ ? pages_.get() + shift_ : nullptr; }

    std::unique_ptr<std::byte, give_back> pages_;
    std::size_t shift_ = 0; // of the first byte in its page
    std::size_t size_ = 0;
    std::size_t capacity_ = 0; // of the pages
};

[[nodiscard]] std::uint64_t frame_size(std::span<const stream_write> writes);

// Appends the frame of `writes` to `out`; its first byte will stand at `at`. `first_revisions`: of
// each write's first event. Returns the position of the last event. Precondition: there is an
// event; frame_size(writes) <= format::frame_size_max.
base::position write_frame(byte_buffer& out, base::position at,
                           std::span<const stream_write> writes,
                           std::span<const base::revision> first_revisions, base::utc_time created,
                           const base::digest256& previous_chain);

} // namespace immortal::eventlog
