#include "eventlog/frame_writer.hpp"

#include "base/assert.hpp"
#include "base/file.hpp"
#include "eventlog/append_order.hpp"
#include "eventlog/format.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace immortal::eventlog {
namespace {

using format::frame_header;
using format::record_header;

constexpr std::size_t capacity_kept_max = 16u << 20u;

std::size_t record_size(const stream_write& write, const new_event& event) {
    return encoded_size(write.stream.size(), event);
}

void put(std::byte*& to, const std::string& bytes) {
    if (!bytes.empty()) {
        std::memcpy(to, bytes.data(), bytes.size());
        to += bytes.size();
    }
}

// Writes one record and returns its size.
std::size_t write_record(std::byte* to, const stream_write& write, const new_event& event,
                         record_header header) {
    const std::size_t size = record_size(write, event);
    IMMORTAL_ASSERT(!event.id.is_nil() && !event.type.empty() && !write.stream.empty());
    IMMORTAL_ASSERT(write.stream.size() <= stream_name_size_max &&
                    event.type.size() <= event_type_size_max);
    header.length = static_cast<std::uint32_t>(size);
    header.id = event.id.bytes;
    header.flags = static_cast<std::uint16_t>(
        header.flags | (event.format == content::json ? format::record_flag::json : 0));
    header.stream_size = static_cast<std::uint16_t>(write.stream.size());
    header.type_size = static_cast<std::uint16_t>(event.type.size());
    header.metadata_size = static_cast<std::uint32_t>(event.metadata.size());
    header.data_size = static_cast<std::uint32_t>(event.data.size());
    std::memcpy(to, &header, sizeof header);
    std::byte* at = to + sizeof header;
    put(at, write.stream);
    put(at, event.type);
    put(at, event.metadata);
    put(at, event.data);
    IMMORTAL_ASSERT(at == to + size);
    const std::uint32_t crc = base::crc32c({to + sizeof header.crc, size - sizeof header.crc});
    std::memcpy(to, &crc, sizeof crc);
    return size;
}

} // namespace

void byte_buffer::give_back::operator()(std::byte* pages) const {
    ::operator delete(pages, std::align_val_t{base::disk_page});
}

void byte_buffer::begin_at(std::uint64_t offset) {
    IMMORTAL_ASSERT(size_ == 0);
    shift_ = offset % base::disk_page;
}

void byte_buffer::clear() {
    size_ = 0;
    if (capacity_ > capacity_kept_max) {
        pages_.reset();
        capacity_ = 0;
    }
}

std::span<std::byte> byte_buffer::extend(std::size_t by) {
    const std::size_t needed = shift_ + size_ + by;
    if (needed > capacity_) {
        const std::size_t capacity = std::max({needed, capacity_ * 2, std::size_t{1} << 16u});
        std::unique_ptr<std::byte, give_back> larger(
            static_cast<std::byte*>(::operator new(capacity, std::align_val_t{base::disk_page})));
        if (size_ > 0) {
            std::memcpy(larger.get() + shift_, first(), size_);
        }
        pages_ = std::move(larger);
        capacity_ = capacity;
    }
    IMMORTAL_ASSERT(pages_ != nullptr && shift_ + size_ + by <= capacity_);
    const std::span<std::byte> added(first() + size_, by);
    size_ += by;
    return added;
}

std::uint64_t frame_size(std::span<const stream_write> writes) {
    std::uint64_t size = sizeof(frame_header);
    for (const stream_write& write : writes) {
        for (const new_event& event : write.events) {
            size += record_size(write, event);
        }
    }
    return size;
}

base::position write_frame(byte_buffer& out, base::position at,
                           std::span<const stream_write> writes,
                           std::span<const base::revision> first_revisions, base::utc_time created,
                           const base::digest256& previous_chain) {
    IMMORTAL_ASSERT(writes.size() == first_revisions.size());
    const std::uint64_t length = frame_size(writes);
    IMMORTAL_ASSERT(length <= format::frame_size_max);
    std::uint32_t left = 0;
    for (const stream_write& write : writes) {
        left += static_cast<std::uint32_t>(write.events.size());
    }
    IMMORTAL_ASSERT(left > 0);

    const std::span<std::byte> frame = out.extend(length);
    frame_header header;
    header.length = static_cast<std::uint32_t>(length);
    header.count = left;
    header.position = at.value;
    header.previous_chain = previous_chain;
    header.crc = format::checksum(header);
    std::memcpy(frame.data(), &header, sizeof header);

    std::size_t offset = sizeof header;
    base::position last = at;
    record_header record;
    record.created_us = created.time_since_epoch().count();
    visit_in_order(writes, [&](std::size_t i, std::size_t n) {
        const new_event& event = writes[i].events[n];
        --left;
        record.revision = first_revisions[i].value + n;
        record.flags = static_cast<std::uint16_t>(
            (first_revisions[i] == tombstone_revision ? format::record_flag::tombstone : 0) |
            (left == 0 ? format::record_flag::last_in_frame : 0) |
            (&event == &writes[i].events.back() ? format::record_flag::last_of_stream : 0));
        IMMORTAL_ASSERT(record.revision <= tombstone_revision.value);
        last = {at.value + offset};
        record.position = last.value;
        offset += write_record(frame.data() + offset, writes[i], event, record);
    });
    IMMORTAL_ASSERT(offset == length && left == 0);
    return last;
}

} // namespace immortal::eventlog
