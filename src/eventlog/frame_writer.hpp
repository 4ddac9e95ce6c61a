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

// Bytes that grow without being cleared first. Used by one thread.
class byte_buffer {
public:
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {bytes_.get(), size_}; }
    void clear(); // gives back memory beyond what a usual group needs
    [[nodiscard]] std::span<std::byte> extend(std::size_t by);

private:
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
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
