// The index of everyday use: the newest part in memory, the older one in RocksDB.
//
// Entries are added to a part in memory. When it is large enough it is closed; a thread of the
// index sorts it and puts it on disk (index_store.hpp) as soon as the log before its end is
// durable, while the next part is filled. What is on disk is never trusted blindly: it belongs to
// one log and epoch, every block has a checksum, numbers have no gaps.
//
// Derived data never fails the log:
// 1. An answer that could lie in a damaged part is an error ("unavailable"), never "none": an
//    append or a check that needs it is refused, and may be tried again.
// 2. What is damaged is made anew from the log in the background, in a second folder, while what
//    can still be read answers; then the new store takes the old one's place at once. Until then,
//    a log that is no longer than a slice is read itself.
// 3. What cannot be written now is tried again with growing pauses; the newest parts wait in
//    memory, within their bounds, and beyond them appends are refused until there is room.
#pragma once

#include "base/file.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace immortal::base {
class metrics;
}

namespace immortal::eventlog {

// What the index holds in memory, whatever the number of streams and events:
// - the newest part, and the one before it on its way to the disk: each up to the larger of
//   part_bytes_max and tail_bytes_max, and what one group of appends adds;
// - cache_bytes, and some MiB that RocksDB needs beside it, for each store that is open: one; a
//   second one while the index is made anew, with a part of up to part_bytes_max that it is made
//   of, and until those who read the old one have ended;
// - while the index is damaged, log_scan_max bytes of the log as a part in memory.
// Not bounded: what a start reads of the log while the index cannot be written
// (log_index::rest_of_start_at).
struct disk_index_settings {
    std::string folder;
    bool correlations = true;                      // index events by correlation id
    std::uint64_t part_events_max = 1u << 19;      // a part in memory is closed then,
    std::size_t part_bytes_max = 64u << 20;        // or when it takes so much memory,
    std::uint64_t part_log_bytes_max = 256u << 20; // or covers so much of the log
    std::size_t tail_bytes_max = 96u << 20;     // of the newest part when the one before it is not
                                                // on disk yet: the writer waits
    std::chrono::milliseconds patience{15'000}; // how long, before appends are refused
    // How long a close() waits for parts to be put on disk, with the waits of a writer that ends.
    std::chrono::milliseconds close_patience{4'000};
    std::size_t cache_bytes = 64u << 20; // of blocks on disk, with their filters
    std::size_t open_files_max = 256;
    std::uint64_t place_spacing = 1u << 16; // events between the known places of the log
    // A log, or what of it stands on disk, of so many bytes is read instead of a damaged index.
    std::uint64_t log_scan_max = 4u << 20;
    std::chrono::milliseconds retry_pause{
        200}; // after the first failure; doubled up to 50 times it
};

class log_index;

// `files` and `metrics` (may be null) outlive the index.
[[nodiscard]] std::unique_ptr<log_index>
make_disk_index(disk_index_settings settings, base::file_system& files, base::metrics* metrics);

} // namespace immortal::eventlog
