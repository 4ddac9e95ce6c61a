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

// How large the file of a scavenged segment gets, by what is given to its writer.
class scavenged_size {
public:
    void keep(std::uint64_t bytes);
    // So many zeros; a hole if that saves something.
    void skip(std::uint64_t bytes);

    [[nodiscard]] std::uint64_t logical() const { return logical_; } // of the segment
    [[nodiscard]] std::uint64_t kept() const { return kept_; }       // without the table of extents
    [[nodiscard]] std::uint64_t stored_bytes() const {               // with it
        return kept_ + extents_ * sizeof(format::extent);
    }
    [[nodiscard]] bool in_extent() const { return in_extent_; }

private:
    std::uint64_t logical_ = sizeof(format::segment_header);
    std::uint64_t kept_ = sizeof(format::segment_header);
    std::uint64_t extents_ = 0;
    bool in_extent_ = false;
};

// Writes a scavenged segment's file from its bytes in order.
class scavenged_file_writer {
public:
    // Writes into `to` from its beginning; what stands there is written over, and cut off at the
    // end. `header`: of the segment as it was.
    scavenged_file_writer(base::file& to, const format::segment_header& header);

    // The next bytes of the segment, the first ones being those after the header.
    [[nodiscard]] base::file_status keep(std::span<const std::byte> bytes);
    // So many zeros; a hole if that saves something.
    [[nodiscard]] base::file_status skip(std::uint64_t bytes);
    // Writes what is missing, and syncs. `last_chain`: after the segment's last frame. Gives the
    // header as it was written.
    [[nodiscard]] base::file_result<format::segment_header>
    finish(const base::digest256& last_chain);

private:
    [[nodiscard]] base::file_status put(std::span<const std::byte> bytes);
    [[nodiscard]] base::file_status flush();

    base::file& to_;
    format::segment_header header_;
    scavenged_size size_;  // what was given
    std::uint64_t stored_; // how far the file reaches, with what is still in `buffer_`
    std::vector<std::byte> buffer_;
    std::vector<format::extent> extents_;
    base::blake2b_hasher hasher_;
};

} // namespace immortal::eventlog
