#include "eventlog/backup_pieces.hpp"

#include "base/assert.hpp"
#include "eventlog/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;
using base::file_error;

std::unexpected<file_error> read_only() {
    return std::unexpected(file_error{file_error::kind::denied, "a backup is not written"});
}

} // namespace

std::string describe(const backup_segment& segment, const backup_piece& piece) {
    return fmt::format("{} (bytes {} to {} of {})", piece.blob(), piece.offset,
                       piece.offset + piece.size, format::segment_name(segment.number));
}

base::result<piece_sizes> list_pieces(backup_target& target) {
    auto blobs = target.list("blobs");
    if (!blobs) {
        return fail(std::move(blobs.error()));
    }
    piece_sizes out;
    for (auto& blob : *blobs) {
        out.emplace(std::move(blob.name), blob.size);
    }
    return out;
}

base::status check_presence(const backup_segment& segment, const backup_piece& piece,
                            const piece_sizes& present) {
    const auto found = present.find(piece.blob());
    if (found == present.end()) {
        return fail(errc::not_found,
                    "a piece of the backup is missing: " + describe(segment, piece));
    }
    if (found->second != piece.size) {
        return fail(errc::corrupt, fmt::format("a piece of the backup is damaged: {} has {} bytes",
                                               describe(segment, piece), found->second));
    }
    return {};
}

base::status check_presence(const backup_manifest& manifest, const piece_sizes& present) {
    for (const backup_segment& segment : manifest.segments) {
        for (const backup_piece& piece : segment.pieces) {
            if (auto there = check_presence(segment, piece, present); !there) {
                return there;
            }
        }
    }
    return {};
}

base::result<std::vector<std::byte>>
fetch_piece(backup_target& target, const backup_segment& segment, const backup_piece& piece) {
    auto bytes = target.get(piece.blob());
    if (!bytes && bytes.error().code == errc::not_found) {
        return fail(errc::not_found,
                    "a piece of the backup is missing: " + describe(segment, piece));
    }
    const bool is_damaged = bytes
                                ? bytes->size() != piece.size || sha256_hex(*bytes) != piece.sha256
                                : bytes.error().code == errc::corrupt;
    if (is_damaged) {
        return fail(errc::corrupt, "a piece of the backup is damaged: " + describe(segment, piece));
    }
    return bytes;
}

base::file_result<std::size_t> piece_file::read_at(std::uint64_t offset, std::span<std::byte> out) {
    std::size_t given = 0;
    while (given < out.size() && offset + given < segment_.stored_size()) {
        const std::uint64_t place = offset + given;
        const auto after =
            std::ranges::upper_bound(segment_.pieces, place, {}, &backup_piece::offset);
        IMMORTAL_ASSERT(after != segment_.pieces.begin());
        const backup_piece& piece = *std::prev(after);
        const bytes contents = source_(segment_, piece);
        if (contents == nullptr) {
            return std::unexpected(
                file_error{file_error::kind::io, describe(segment_, piece) + " cannot be read"});
        }
        IMMORTAL_ASSERT(contents->size() == piece.size && place < piece.offset + piece.size);
        const std::uint64_t begin = place - piece.offset;
        const std::size_t count = std::min<std::size_t>(out.size() - given, piece.size - begin);
        std::memcpy(out.data() + given, contents->data() + begin, count);
        given += count;
    }
    return given;
}

base::file_status piece_file::write_at(std::uint64_t, std::span<const std::byte>) {
    return read_only();
}

base::file_status piece_file::truncate(std::uint64_t) {
    return read_only();
}

} // namespace immortal::eventlog
