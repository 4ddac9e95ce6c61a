// What a backup consists of. Stored as one blob:
//
//   manifest = "immortal-backup 1 " sha256_hex "\n" json      the hash is that of the JSON text
//
// It is put after all its pieces, so that a manifest that is there is complete.
#pragma once

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventlog/backup_target.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace immortal::eventlog {

// A run of bytes of a segment's file; the blob's name is the hash of its contents.
struct backup_piece {
    std::uint64_t offset = 0; // in the file
    std::uint64_t size = 0;
    std::string sha256; // hexadecimal

    [[nodiscard]] std::string blob() const { return "blobs/" + sha256; }
    friend bool operator==(const backup_piece&, const backup_piece&) = default;
};

struct backup_segment {
    std::uint32_t number = 0;
    std::uint64_t first_position = 0;
    std::uint64_t logical_size = 0; // of the segment, as far as it is in the backup
    std::uint32_t header_crc = 0;   // tells a scavenged file from the one before
    bool scavenged = false;
    std::vector<backup_piece> pieces; // without a gap

    [[nodiscard]] std::uint64_t stored_size() const {
        return pieces.empty() ? 0 : pieces.back().offset + pieces.back().size;
    }
    friend bool operator==(const backup_segment&, const backup_segment&) = default;
};

struct backup_manifest {
    base::log_identity log;
    base::utc_time created{};
    base::position end; // the head of the log: its anchor's
    std::uint64_t events = 0;
    base::position last_event; // meaningless without events
    base::digest256 chain{};
    std::vector<backup_segment> segments;

    [[nodiscard]] std::string name() const; // of its blob; names ascend with epoch and end
    [[nodiscard]] std::uint64_t stored_bytes() const;
    friend bool operator==(const backup_manifest&, const backup_manifest&) = default;
};

[[nodiscard]] std::string to_text(const backup_manifest& manifest);
// Errors: corrupt (`name` is named), invalid_argument (of a newer version).
[[nodiscard]] base::result<backup_manifest> parse_manifest(const std::string& name,
                                                           std::string_view text);

// Reads one. Errors: also those of the target.
[[nodiscard]] base::result<backup_manifest> read_manifest(backup_target& from,
                                                          const std::string& name);

// SHA-256 as text.
[[nodiscard]] std::string sha256_hex(std::span<const std::byte> bytes);

} // namespace immortal::eventlog
