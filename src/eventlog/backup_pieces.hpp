// The pieces that backups consist of: looked for, fetched, and shown as the files they were.
#pragma once

#include "base/file.hpp"
#include "base/result.hpp"
#include "eventlog/backup_manifest.hpp"
#include "eventlog/backup_target.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace immortal::eventlog {

// "blobs/<hash> (bytes 0 to 1927 of segment-00000000.log)"
[[nodiscard]] std::string describe(const backup_segment& segment, const backup_piece& piece);

using piece_sizes = std::map<std::string, std::uint64_t>; // by the name of the blob
// What stands in the target. Errors: those of the target.
[[nodiscard]] base::result<piece_sizes> list_pieces(backup_target& target);

// Whether the piece is there and has its size. Errors: not_found, corrupt (the message names it).
[[nodiscard]] base::status check_presence(const backup_segment& segment, const backup_piece& piece,
                                          const piece_sizes& present);
// Of every piece of a backup.
[[nodiscard]] base::status check_presence(const backup_manifest& manifest,
                                          const piece_sizes& present);

// Reads a piece and checks its hash. Errors: not_found, corrupt (the message names it), those of
// the target.
[[nodiscard]] base::result<std::vector<std::byte>>
fetch_piece(backup_target& target, const backup_segment& segment, const backup_piece& piece);

// A segment's file as a backup holds it, to be read only. A piece that cannot be fetched is an
// error of the file. Not thread-safe.
class piece_file final : public base::file {
public:
    using bytes = std::shared_ptr<const std::vector<std::byte>>;
    // Gives the contents of a piece of the segment, as long as it was; empty: there is none.
    using piece_source = std::function<bytes(const backup_segment&, const backup_piece&)>;

    // `segment` outlives the file; its pieces have no gap (backup_manifest).
    piece_file(const backup_segment& segment, piece_source source)
        : segment_(segment), source_(std::move(source)) {}

    base::file_result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override;
    base::file_status write_at(std::uint64_t, std::span<const std::byte>) override;
    base::file_status sync() override { return {}; }
    base::file_status truncate(std::uint64_t) override;
    base::file_result<std::uint64_t> size() override { return segment_.stored_size(); }

private:
    const backup_segment& segment_;
    piece_source source_;
};

} // namespace immortal::eventlog
