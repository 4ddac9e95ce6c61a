// What a backup consists of. Stored as one blob:
//
//   manifest = "immortal-backup " version " " sha256_hex "\n" json      the hash is that of the
//   JSON
//
// Version 1 knows no lines and names a segment's header by its checksum only; it is read, and
// continued by version 2.
//
// It is put after all its pieces, so that a manifest that is there is complete.
#pragma once

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "eventlog/backup_target.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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
    std::string header_sha256; // of the header, and so of a scavenged file's content hash; empty in
                               // version 1
    bool scavenged = false;
    std::vector<backup_piece> pieces; // without a gap

    [[nodiscard]] std::uint64_t stored_size() const {
        return pieces.empty() ? 0 : pieces.back().offset + pieces.back().size;
    }
    friend bool operator==(const backup_segment&, const backup_segment&) = default;
};

// Where a backup stands among those of its target: later ones are greater. A line is a history of
// the log that was backed up; when the log that is to be backed up does not continue the newest
// backup (its folder was rolled back, or is a copy that went on in another way), a new line begins.
struct backup_place {
    std::uint32_t line = 1;
    std::uint32_t epoch = 0;
    base::position end = {};

    [[nodiscard]] std::string blob() const; // "manifests/..."
    // Of the name of a manifest's blob without its folder; empty if it is none.
    [[nodiscard]] static std::optional<backup_place> parse(std::string_view name);
    friend auto operator<=>(const backup_place&, const backup_place&) = default;
};

struct backup_manifest {
    static constexpr std::uint32_t version_now = 2;

    std::uint32_t version = version_now;
    std::uint32_t line = 1;
    base::log_identity log;
    base::utc_time created{};
    base::position end; // the head of the log: its anchor's
    std::uint64_t events = 0;
    base::position last_event; // meaningless without events
    base::digest256 chain{};
    std::vector<backup_segment> segments;

    [[nodiscard]] backup_place place() const { return {line, log.epoch, end}; }
    [[nodiscard]] std::string name() const { return place().blob(); } // of its blob
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
