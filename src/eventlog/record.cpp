#include "eventlog/record.hpp"

#include "eventlog/format.hpp"
#include "eventlog/planted_fault.hpp"

#include <fmt/format.h>

#include <charconv>

namespace immortal::eventlog {
namespace {

std::string_view text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace

bool record_view::last_in_batch() const {
    return (flags & format::record_flag::last_in_frame) != 0;
}

bool record_view::removed() const {
    return (flags & format::record_flag::removed) != 0;
}

recorded_event to_event(const record_view& record) {
    return {record.position,
            std::string(record.stream),
            record.revision,
            record.id,
            std::string(record.type),
            std::string(record.data),
            std::string(record.metadata),
            record.created,
            (record.flags & format::record_flag::json) != 0 ? content::json : content::binary,
            record.last_in_batch(),
            nullptr};
}

parse_outcome parse_record(std::span<const std::byte> bytes, base::position at, record_view& out) {
    using format::record_header;
    if (bytes.size() < sizeof(record_header)) {
        return parse_outcome::incomplete;
    }
    const auto header = format::load<record_header>(bytes);
    const std::uint64_t length = sizeof(record_header) + std::uint64_t{header.stream_size} +
                                 header.type_size + header.metadata_size + header.data_size;
    if (header.length != length || header.position != at.value || header.stream_size == 0) {
        return parse_outcome::damaged;
    }
    if (bytes.size() < length) {
        return parse_outcome::incomplete;
    }
    if (base::crc32c(bytes.subspan(sizeof(header.crc), length - sizeof(header.crc))) !=
            header.crc &&
        !is_planted(planted_fault::trust_contents)) {
        return parse_outcome::damaged;
    }
    out.position = at;
    out.revision = {header.revision};
    out.id.bytes = header.id;
    out.created = base::utc_time(std::chrono::microseconds(header.created_us));
    out.length = header.length;
    out.flags = header.flags;
    std::size_t offset = sizeof(record_header);
    const auto take = [&](std::size_t size) {
        const auto part = bytes.subspan(offset, size);
        offset += size;
        return text(part);
    };
    out.stream = take(header.stream_size);
    out.type = take(header.type_size);
    out.metadata = take(header.metadata_size);
    out.data = take(header.data_size);
    return parse_outcome::good;
}

namespace format {

std::string segment_name(std::uint32_t number) {
    return fmt::format("segment-{:08}.log", number);
}

std::optional<std::uint32_t> segment_number(const std::string& file_name) {
    std::uint32_t number = 0;
    constexpr std::string_view prefix = "segment-";
    if (!file_name.starts_with(prefix)) {
        return std::nullopt;
    }
    const auto parsed = std::from_chars(file_name.data() + prefix.size(),
                                        file_name.data() + file_name.size(), number);
    if (parsed.ec != std::errc{} || segment_name(number) != file_name) {
        return std::nullopt;
    }
    return number;
}

} // namespace format
} // namespace immortal::eventlog
