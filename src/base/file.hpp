// The seam for files: what the log and its backups need of a file system. The machine's own
// (`posix_file_system`), or one in memory that loses, tears and corrupts on command
// (memory_file_system.hpp).
//
// Offsets and sizes are in bytes. Nothing is durable before sync(); a new, renamed or removed name
// is not durable before sync_directory() of its folder.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace immortal::base {

struct file_error {
    enum class kind : std::uint8_t {
        not_found,
        exists,
        no_space,      // disk or quota
        denied,        // permissions or a read-only file system
        in_use,        // locked by another process
        too_many_open, // this process, or the machine, has no descriptor left: goes by itself
        not_a_file,    // a folder, a loop of links, a socket: it has no bytes to read or write
        io,            // anything else: the medium cannot be trusted
    };
    kind what = kind::io;
    std::string text; // operation, file name and the system's words; for the operator's log
};

template <typename T>
using file_result = std::expected<T, file_error>;
using file_status = std::expected<void, file_error>;

// For callers that answer with base::error: exhausted, unavailable, forbidden, not_found ...
[[nodiscard]] error to_error(const file_error& e);

// What a disk transfers at least, and where; a multiple of what any of them asks for.
constexpr std::size_t disk_page = 4096;

// An open file. Reads may run on any threads, beside one thread that writes. Closed by the
// destructor.
class file {
public:
    virtual ~file() = default;
    // Fills `out` from `offset`; fewer bytes only at the end of the file. The number of bytes read.
    [[nodiscard]] virtual file_result<std::size_t> read_at(std::uint64_t offset,
                                                           std::span<std::byte> out) = 0;
    // All bytes or an error; after an error any part of them may have been written.
    [[nodiscard]] virtual file_status write_at(std::uint64_t offset,
                                               std::span<const std::byte> bytes) = 0;
    // The same, for bytes that are not read again soon: where the system can, they go to the disk
    // without a copy in its memory. Worth it from some hundred KiB on, if their address and their
    // offset agree modulo disk_page. Other reads and writes of the file see them as usual.
    [[nodiscard]] virtual file_status write_uncached_at(std::uint64_t offset,
                                                        std::span<const std::byte> bytes) {
        return write_at(offset, bytes);
    }
    // Contents and size are durable (fdatasync). After an error nothing may be assumed about what
    // was written since the last success, even if a later call succeeds.
    [[nodiscard]] virtual file_status sync() = 0;
    [[nodiscard]] virtual file_status truncate(std::uint64_t size) = 0;
    [[nodiscard]] virtual file_result<std::uint64_t> size() = 0;
    // Makes the file `size` bytes long, at least, with room on the disk for all of them: writes
    // within it need no more space (but on file systems that copy what they overwrite). What was
    // there stays, the rest reads as zeros.
    // Unless a file system does better: made as long, without the room.
    [[nodiscard]] virtual file_status allocate(std::uint64_t size);
};

// Held until destroyed; given back by the system when the process dies.
class file_lock {
public:
    virtual ~file_lock() = default;
};

enum class open_mode : std::uint8_t {
    read,       // must exist
    read_write, // must exist
    create_new, // must not exist; for reading and writing
};

// Thread-safe. Paths are as the machine takes them.
class file_system {
public:
    virtual ~file_system() = default;
    [[nodiscard]] virtual file_result<std::unique_ptr<file>> open(const std::string& path,
                                                                  open_mode mode) = 0;
    [[nodiscard]] virtual file_status rename(const std::string& from, const std::string& to) = 0;
    [[nodiscard]] virtual file_status remove(const std::string& path) = 0;
    // Names (without the folder) of the files in `folder`, in ascending order.
    [[nodiscard]] virtual file_result<std::vector<std::string>> list(const std::string& folder) = 0;
    // With its parents; fine if it exists. The new names are durable when it returns.
    [[nodiscard]] virtual file_status make_directory(const std::string& folder) = 0;
    [[nodiscard]] virtual file_status sync_directory(const std::string& folder) = 0;
    [[nodiscard]] virtual file_result<std::uint64_t> free_space(const std::string& folder) = 0;
    // Creates the file if need be. kind::in_use: another holder, in this process or another.
    [[nodiscard]] virtual file_result<std::unique_ptr<file_lock>> lock(const std::string& path) = 0;
    // Takes back what was lent of a reserve of descriptors, as far as it can be had now. Cheap.
    virtual void restore_reserve() {}
};

class descriptor_reserve;

class posix_file_system final : public file_system {
public:
    posix_file_system() = default;
    // What cannot be opened for want of a descriptor is opened with one of `reserve`, which
    // outlives it.
    explicit posix_file_system(descriptor_reserve& reserve) : reserve_(&reserve) {}

    file_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;
    file_status rename(const std::string& from, const std::string& to) override;
    file_status remove(const std::string& path) override;
    file_result<std::vector<std::string>> list(const std::string& folder) override;
    file_status make_directory(const std::string& folder) override;
    file_status sync_directory(const std::string& folder) override;
    file_result<std::uint64_t> free_space(const std::string& folder) override;
    file_result<std::unique_ptr<file_lock>> lock(const std::string& path) override;
    void restore_reserve() override;

private:
    descriptor_reserve* reserve_ = nullptr;
};

} // namespace immortal::base
