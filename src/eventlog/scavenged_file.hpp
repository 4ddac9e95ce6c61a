// The file of a scavenged segment, read and written. The grammar is in format.hpp.
#pragma once

#include "base/file.hpp"
#include "base/hash.hpp"
#include "eventlog/format.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace immortal::eventlog {

// Opens the file of a segment. That of a scavenged one shows the whole segment: holes read as
// zeros, size() is the logical size, and it cannot be written. A header that is damaged is left for
// the caller to find.
[[nodiscard]] base::file_result<std::unique_ptr<base::file>>
open_segment_file(base::file_system& files, const std::string& path, base::open_mode mode);

// The same for a file that is open.
[[nodiscard]] base::file_result<std::unique_ptr<base::file>>
show_whole_segment(std::unique_ptr<base::file> stored);

// Whether everything after the header of a scavenged segment's file, as it is stored, has the hash
// that the header names.
[[nodiscard]] base::file_result<bool> content_hash_holds(base::file& stored,
                                                         const format::segment_header& header);

// Writes a scavenged segment's file from its bytes in order.
class scavenged_file_writer {
public:
    // Writes into `to`, which is empty. `header`: of the segment as it was.
    scavenged_file_writer(base::file& to, const format::segment_header& header);

    // The next bytes of the segment, the first ones being those after the header.
    [[nodiscard]] base::file_status keep(std::span<const std::byte> bytes);
    // So many zeros; a hole if that saves something.
    [[nodiscard]] base::file_status skip(std::uint64_t bytes);
    // Writes what is missing, and syncs. `last_chain`: after the segment's last frame. Gives the
    // header as it was written.
    [[nodiscard]] base::file_result<format::segment_header>
    finish(const base::digest256& last_chain);

    [[nodiscard]] std::uint64_t stored_bytes() const { return stored_; }

private:
    [[nodiscard]] base::file_status put(std::span<const std::byte> bytes);
    [[nodiscard]] base::file_status flush();

    base::file& to_;
    format::segment_header header_;
    std::uint64_t logical_; // how far the segment was given
    std::uint64_t stored_;  // how far the file reaches, with what is still in `buffer_`
    std::vector<std::byte> buffer_;
    std::vector<format::extent> extents_;
    bool in_extent_ = false;
    base::blake2b_hasher hasher_;
};

} // namespace immortal::eventlog
