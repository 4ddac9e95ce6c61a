// The log's on-disk format, version 1. The page docs/eventlog-format.md says the same in prose.
//
//   folder   = lock anchor segment-00000000.log segment-00000001.log ...
//   segment  = segment_header frame*
//   frame    = frame_header record{count}      one append; never crosses a segment
//   record   = record_header stream type metadata data
//   anchor   = two anchor_slots, at bytes 0 and 4096, written in turn
//
// Integers are little-endian. A position is a byte offset from the beginning of the log: the sizes
// of all earlier segments, headers included, and the offset within the segment. The chain value
// after a frame is SHA-256 over all bytes of the frame, which contain the chain value before it;
// before the first frame it is SHA-256 over the log's id. CRC is CRC-32C over everything that
// follows the `crc` field in its header, for a record to the record's end.
//
// A scavenged segment (flag) is the same bytes with holes that are not stored:
//
//   scavenged segment = segment_header kept_bytes extent*
//
// Number, positions, lengths and chain values are the old ones. A removed record keeps its header,
// stream, type and what the index needs of its metadata; the rest of it is zero, and a hole where
// that saves something. An extent says where a run of kept bytes stands in the whole segment and in
// the file; scavenged_file.hpp shows the file with its holes filled.
#pragma once

#include "base/hash.hpp"
#include "base/ids.hpp"
#include "eventlog/event.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

namespace immortal::eventlog::format {

static_assert(std::endian::native == std::endian::little, "structures are written as they stand");

constexpr std::uint32_t version = 1;
constexpr std::uint32_t chain_sha256 = 1;
constexpr std::array<char, 8> segment_magic{'I', 'M', 'M', 'L', 'O', 'G', '\r', '\n'};
constexpr std::array<char, 8> anchor_magic{'I', 'M', 'M', 'A', 'N', 'C', '\r', '\n'};
constexpr std::uint32_t frame_magic = 0x464D4D49u; // "IMMF"

struct segment_header {
    std::array<char, 8> magic = segment_magic;
    std::uint32_t crc = 0;
    std::uint32_t version = format::version;
    std::array<std::uint8_t, 16> log_id{};
    std::uint32_t epoch = 0; // in which the segment was begun
    std::uint32_t number = 0;
    std::uint64_t first_position = 0; // of this header's first byte
    std::uint64_t flags = 0;          // bit 0: scavenged
    std::int64_t created_us = 0;
    std::uint32_t chain_algorithm = chain_sha256;
    std::uint32_t header_size = 256;
    base::digest256 previous_chain{}; // before the first frame
    // Of a scavenged segment; else zero.
    std::uint64_t logical_size = 0;
    base::digest256 last_chain{};
    base::digest256 content_hash{};  // BLAKE2b-256 of everything after this header
    std::uint64_t extents_at = 0;    // offset in the file
    std::uint64_t extents_count = 0; // at least one
    std::array<std::uint8_t, 64> reserved{};
};
static_assert(sizeof(segment_header) == 256 && std::is_trivially_copyable_v<segment_header>);
static_assert(offsetof(segment_header, first_position) == 40);
static_assert(offsetof(segment_header, previous_chain) == 72);
static_assert(offsetof(segment_header, extents_at) == 176);

namespace segment_flag {
constexpr std::uint64_t scavenged = 1;
} // namespace segment_flag

// Of a scavenged segment: from `logical` up to the next extent's hole, bytes stand at `stored`. It
// ends where the next one's stored bytes begin, the last one at `extents_at`; the first begins with
// the bytes after the header.
struct extent {
    std::uint64_t logical = 0; // offset in the whole segment
    std::uint64_t stored = 0;  // offset in the file
};
static_assert(sizeof(extent) == 16 && std::is_trivially_copyable_v<extent>);
constexpr std::uint64_t hole_size_min = 64; // a smaller one is stored as zeros

struct frame_header {
    std::uint32_t magic = frame_magic;
    std::uint32_t crc = 0;
    std::uint32_t length = 0; // of the frame, this header included
    std::uint32_t count = 0;  // of records, at least one
    std::uint64_t position = 0;
    std::uint64_t flags = 0; // frame_flag
    base::digest256 previous_chain{};
};
namespace frame_flag {
// Records were removed: the chain value after the frame is that of the frame as it was, which the
// next frame's header holds, or the segment's `last_chain`.
constexpr std::uint64_t scavenged = 1;
} // namespace frame_flag
static_assert(sizeof(frame_header) == 64 && std::is_trivially_copyable_v<frame_header>);

struct record_header {
    std::uint32_t crc = 0;
    std::uint32_t length = 0; // of the record, this header included
    std::uint64_t position = 0;
    std::uint64_t revision = 0;
    std::array<std::uint8_t, 16> id{};
    std::int64_t created_us = 0; // since 1970-01-01 UTC; never decreases along the log
    std::uint16_t flags = 0;     // record_flag
    std::uint16_t stream_size = 0;
    std::uint16_t type_size = 0;
    std::uint16_t reserved = 0;
    std::uint32_t metadata_size = 0;
    std::uint32_t data_size = 0;
};
static_assert(sizeof(record_header) == record_header_size &&
              std::is_trivially_copyable_v<record_header>);

namespace record_flag {
constexpr std::uint16_t json = 1;
constexpr std::uint16_t last_in_frame = 2;
constexpr std::uint16_t last_of_stream = 4; // of its stream in this frame
constexpr std::uint16_t tombstone = 8;      // the stream ends here for ever
constexpr std::uint16_t removed = 16;       // by a scavenge; only what the index needs is left
} // namespace record_flag

struct anchor_slot {
    std::array<char, 8> magic = anchor_magic;
    std::uint32_t crc = 0;
    std::uint32_t version = format::version;
    std::array<std::uint8_t, 16> log_id{};
    std::uint32_t epoch = 0;
    std::uint32_t segment = 0;     // that holds `end`
    std::uint64_t sequence = 0;    // the valid slot with the higher one counts
    std::uint64_t end = 0;         // one past the last durable byte
    std::uint64_t event_count = 0; // in the whole log
    std::uint64_t last_event = 0;  // position; meaningless if event_count is 0
    base::digest256 chain{};       // after the frame that ends at `end`
    std::array<std::uint8_t, 24> reserved{};
};
static_assert(sizeof(anchor_slot) == 128 && std::is_trivially_copyable_v<anchor_slot>);
constexpr std::uint64_t anchor_slot_distance = 4096;

static_assert(event_type_size_max <= 0xFFFF && stream_name_size_max <= 0xFFFF);
static_assert(event_size_max + stream_name_size_max + sizeof(record_header) < (1ull << 32u));
// What a frame's 32-bit length can say. Appends are bounded far below it (append_frame_size_max);
// logs of earlier versions hold frames of any such size.
constexpr std::uint64_t frame_size_max = 0xFFFF0000u;
static_assert(append_frame_size_max < frame_size_max / 2);

// The checksum that belongs into `crc` of a header, over what follows the field.
template <typename Header>
[[nodiscard]] std::uint32_t checksum(const Header& header) {
    const auto bytes = std::as_bytes(std::span(&header, 1));
    return base::crc32c(bytes.subspan(offsetof(Header, crc) + sizeof(std::uint32_t)));
}

// Copies a header out of bytes that hold at least sizeof(Header).
template <typename Header>
[[nodiscard]] Header load(std::span<const std::byte> bytes) {
    Header header;
    std::copy_n(bytes.data(), sizeof(Header), std::as_writable_bytes(std::span(&header, 1)).data());
    return header;
}

[[nodiscard]] std::string segment_name(std::uint32_t number); // "segment-00000012.log"
[[nodiscard]] std::optional<std::uint32_t> segment_number(const std::string& file_name);

} // namespace immortal::eventlog::format
