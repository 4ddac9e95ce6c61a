// Where backups go: named blobs in a few folders. Today a folder of a file system
// (make_folder_target).
#pragma once

#include "base/file.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace immortal::eventlog {

// Names are of the form "folder/name": letters, digits, '-', '.', with exactly one '/'. Calls
// block. One thread at a time for each object; other objects and processes may work on the same
// place. Errors: unavailable, exhausted (no space), forbidden; their messages name the path.
//
// What stands under a blob's name and is no blob (a folder, a loop of links) is a damaged one.
class backup_target {
public:
    virtual ~backup_target() = default;
    // Durable when it returns. A reader sees the old blob, or none, or all of the new one.
    [[nodiscard]] virtual base::status put(const std::string& name,
                                           std::span<const std::byte> bytes) = 0;
    // Makes the blob if there is none of that name: of several that try, one succeeds. Durable when
    // it returns; until then a reader may see a part of it. After an error there is none, as far as
    // that can be had. Errors: also already_exists.
    [[nodiscard]] virtual base::status create(const std::string& name,
                                              std::span<const std::byte> bytes) = 0;
    // Errors: also not_found, and corrupt with reason "not_a_file".
    [[nodiscard]] virtual base::result<std::vector<std::byte>> get(const std::string& name) = 0;
    struct blob {
        std::string name;
        std::uint64_t size = 0;
    };
    // Whole blobs in `folder` (without '/'), by name; none if it does not exist. What is no blob
    // has the size 0.
    [[nodiscard]] virtual base::result<std::vector<blob>> list(const std::string& folder) = 0;
    // Fine if there is none of that name. Errors: also corrupt with reason "not_a_file" (it stays).
    [[nodiscard]] virtual base::status remove(const std::string& name) = 0;
    // Removes what put() left in `folder` where it was interrupted; one that is under way fails.
    // What is no blob stays.
    [[nodiscard]] virtual base::status remove_unfinished(const std::string& folder) = 0;
};

// Blobs as files below `folder`, which is made if need be. `files` outlives it.
[[nodiscard]] std::unique_ptr<backup_target> make_folder_target(base::file_system& files,
                                                                std::string folder);

} // namespace immortal::eventlog
