// Room for a scavenge of a full disk: a file of a segment's size that is made ahead.
//
// When there is no room beside a segment to write it anew, the new form is written into this file,
// in place, and then takes the segment's name: nothing else that fills the disk can come between.
// What the rewriting freed is the next one's room, so that the file is made again at once.
#pragma once

#include "base/file.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace immortal::eventlog {

constexpr const char* scavenge_reserve_name = "scavenge.reserve";

// One thread at a time.
class scavenge_reserve {
public:
    // `bytes`: its size; 0: none is kept. `files` outlives it.
    scavenge_reserve(base::file_system& files, std::string folder, std::uint64_t bytes)
        : files_(files), folder_(std::move(folder)), bytes_(bytes) {}

    // Removes it if it is not wanted. Makes it durably if it is wanted, is not there, and
    // `free_min` bytes stay free beside it. True: it is there. One that is too small makes room for
    // it. After an error of making it nothing of it is left.
    [[nodiscard]] base::file_result<bool> keep(std::uint64_t free_min);
    // Whether it is there and holds `bytes`.
    [[nodiscard]] base::file_result<bool> holds(std::uint64_t bytes);
    // Makes it the file at `path`, open for writing.
    [[nodiscard]] base::file_result<std::unique_ptr<base::file>> lend(const std::string& path);
    // The other way round: the file at `path` is the reserve again. After an error neither is left,
    // unless it could not be removed.
    [[nodiscard]] base::file_status take_back(const std::string& path);

    [[nodiscard]] bool is_wanted() const { return bytes_ > 0; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
    [[nodiscard]] std::string path() const { return folder_ + "/" + scavenge_reserve_name; }
    // Empty: it is not there.
    [[nodiscard]] base::file_result<std::optional<std::uint64_t>> size();
    [[nodiscard]] base::file_status make();

    base::file_system& files_;
    std::string folder_;
    std::uint64_t bytes_;
};

} // namespace immortal::eventlog
