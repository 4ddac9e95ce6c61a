// The one way into a segment's file, plain or scavenged, for whoever reads a log from its files:
// the start, `log verify`, backups and their check, restores, scavenges.
//
// A walk opens its file once. A scavenge may put another file in its place meanwhile: an open one
// stays as it is, so that header, length, contents and hash are always those of one file.
#pragma once

#include "base/file.hpp"
#include "eventlog/segment_scan.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace immortal::eventlog {

// Whether a segment's header must continue the chain value of the state, or need only stand in its
// place: where the frames before it were not read, their last chain value is not known.
enum class chain_check : std::uint8_t { continues, unknown };

// Not thread-safe. In order: open, enter, check_contents, scan.
class segment_walk {
public:
    // Opens the file and reads its header; nothing of it is believed yet. Errors: those of
    // file_system::open, io.
    [[nodiscard]] static base::file_result<segment_walk>
    open(base::file_system& files, const std::string& folder, std::uint32_t number,
         base::open_mode mode = base::open_mode::read);
    // The same for a file that is open, or anything that reads like one.
    [[nodiscard]] static base::file_result<segment_walk> open(std::unique_ptr<base::file> file,
                                                              std::uint32_t number);

    // Empty: it is damaged, or is not that of this segment.
    [[nodiscard]] const std::optional<format::segment_header>& header() const { return header_; }
    [[nodiscard]] std::uint64_t stored_size() const { return stored_size_; }
    // Of the whole segment: of a scavenged one, with its holes filled.
    [[nodiscard]] std::uint64_t size() const { return size_; }
    // The file as it is stored. Lives as long as the walk, and as the segment after enter().
    [[nodiscard]] base::file& stored() const { return *stored_; }

    // Checks that the segment follows `state`. A fault says why it does not. Once.
    [[nodiscard]] base::file_result<std::optional<scan_fault>>
    enter(const scan_state& state, chain_check chain = chain_check::continues);
    // The segment. Precondition, also of what follows: enter() found no fault.
    [[nodiscard]] const std::shared_ptr<segment>& entered() const;

    // Reads the whole file of a scavenged segment against the hash that its header names: the chain
    // cannot be computed over what a scavenge removed. Of a plain one there is nothing to check.
    [[nodiscard]] base::file_result<std::optional<scan_fault>> check_contents();

    // scan_frames over the first `size` bytes; a fault if they do not cover the header.
    [[nodiscard]] base::file_result<std::optional<scan_fault>> scan(std::uint64_t size,
                                                                    scan_state& state,
                                                                    chain_hasher& hasher,
                                                                    const scan_visitor& visit = {});

private:
    segment_walk() = default;

    std::uint32_t number_ = 0;
    std::optional<format::segment_header> header_;
    std::uint64_t stored_size_ = 0;
    std::uint64_t size_ = 0;
    base::file* stored_ = nullptr;      // owned by `shown_`, then by `entered_`
    std::unique_ptr<base::file> shown_; // the whole segment
    bool readable_ = false;             // the header was not cut off
    format::segment_header raw_;
    std::shared_ptr<segment> entered_;
};

} // namespace immortal::eventlog
