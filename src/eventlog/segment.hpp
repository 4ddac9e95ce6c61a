// The segments of an open log.
#pragma once

#include "base/file.hpp"
#include "base/ids.hpp"
#include "eventlog/format.hpp"
#include "eventlog/sealed_files.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace immortal::eventlog {

// One segment file. Thread-safe.
class segment {
public:
    segment(format::segment_header header, std::unique_ptr<base::file> opened)
        : header_(header), file_(std::move(opened)) {}
    // It is no longer written.
    void seal(std::shared_ptr<sealed_files> among, const std::string& folder) {
        file_.seal(std::move(among), folder + "/" + name());
    }
    // Closes its file until the next read. Preconditions: sealed.
    void release_file() const { file_.release(); }

    [[nodiscard]] std::uint32_t number() const { return header_.number; }
    [[nodiscard]] std::string name() const { return format::segment_name(header_.number); }
    [[nodiscard]] base::position first() const { return {header_.first_position}; }
    [[nodiscard]] base::position first_frame() const {
        return {header_.first_position + header_.header_size};
    }
    // As segment_file::hold. Who reads a frame in pieces while a scavenge may run needs it: half of
    // a record as it was and half of the same one removed are no record.
    [[nodiscard]] base::file_result<std::shared_ptr<base::file>> hold() const {
        return file_.hold();
    }
    // Of a scavenged segment: with its holes filled.
    [[nodiscard]] base::file& contents() const { return file_; }
    [[nodiscard]] const format::segment_header& header() const { return header_; }
    [[nodiscard]] bool scavenged() const {
        return (header_.flags & format::segment_flag::scavenged) != 0;
    }
    [[nodiscard]] std::uint64_t offset_of(base::position at) const {
        return at.value - header_.first_position;
    }

private:
    format::segment_header header_;
    mutable segment_file file_;
};

// All segments, ascending and without a gap. Thread-safe; segments live as long as someone holds
// them.
class segment_list {
public:
    // In `folder`; so many of the closed ones are open at the same time. `files` outlives it and
    // its segments.
    segment_list(base::file_system& files, std::string folder, std::size_t open_max)
        : folder_(std::move(folder)), sealed_(std::make_shared<sealed_files>(files, open_max)) {}

    // The one before it is sealed.
    void add(std::shared_ptr<segment> next);
    // Puts `same`, whose file stands in the old one's place, in the place of the segment with its
    // number and positions. Readers that hold the old one go on with it; its file is closed, so
    // that its room is free when the reads of this moment have ended.
    void replace(std::shared_ptr<segment> same);
    // The segment whose bytes include `at`, or the last one.
    [[nodiscard]] std::shared_ptr<segment> find(base::position at) const;
    [[nodiscard]] std::shared_ptr<segment> before(const segment& one) const;
    [[nodiscard]] std::shared_ptr<segment> last() const;
    [[nodiscard]] std::vector<std::shared_ptr<segment>> all() const;
    // One past the last byte of `one` if a later segment exists; else empty.
    [[nodiscard]] std::optional<base::position> end_of(const segment& one) const;

private:
    const std::string folder_;
    const std::shared_ptr<sealed_files> sealed_;
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<segment>> segments_;
};

} // namespace immortal::eventlog
