// How the index stands in RocksDB.
//
//   key   = hash kind size name first     hash: 8 bytes, of the name; kind: 1; size: 2, of the
//   name;
//                                         first: 8, inverted, so that the newest block comes first
//   value = count position {distance}     varints; the first entry's position, then distances > 0
//
// A block holds entries numbered first, first + 1, ... of one list; a tombstone has a block of its
// own, numbered tombstone_revision; a block of frames is numbered by its first position. Integers
// in keys are big-endian. The last key of all, `checkpoint_key`, holds what the index is made of:
//
//   value = version flags log_id epoch count place{count}     little-endian
//   place = end chain events last_event last_created          64 bytes
//
// RocksDB's own checksums cover all of it.
#pragma once

#include "eventlog/index_part.hpp"

#include <string>

namespace immortal::eventlog::index_keys {

constexpr std::uint32_t version = 1;
constexpr std::size_t prefix_size = 9;      // hash and kind: what filters know
constexpr std::size_t block_size_max = 512; // entries
constexpr std::uint32_t flag_correlations = 1;

// What all keys of a list begin with.
void put_list(const list_name& list, std::string& key);
// The whole key: put_list(), and the number.
[[nodiscard]] std::string key_of(const list_name& list, std::uint64_t first);
// `key` is longer than a list's beginning by a number.
[[nodiscard]] std::uint64_t first_of(std::string_view key);
[[nodiscard]] std::string checkpoint_key();

void put_block(const position_list& positions, std::uint64_t from, std::uint64_t count,
               std::string& value);
void put_block(std::span<const base::position> positions, std::string& value);
// Replaces `out`. False: no block.
[[nodiscard]] bool read_block(std::string_view value, std::vector<base::position>& out);

struct checkpoint {
    base::log_identity log;
    std::uint32_t flags = 0;
    std::vector<log_place> places; // ascending
    friend bool operator==(const checkpoint&, const checkpoint&) = default;
};
[[nodiscard]] std::string to_bytes(const checkpoint& value);
// Empty: another version, or damaged.
[[nodiscard]] std::optional<checkpoint> read_checkpoint(std::string_view bytes);

} // namespace immortal::eventlog::index_keys
