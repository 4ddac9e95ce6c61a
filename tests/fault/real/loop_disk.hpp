// A small disk of its own kind: a file system in a file, mounted for this process alone, whose
// power can be cut. Needs root and loop devices.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace immortal::faults {

// Not thread-safe. Processes that die leave nothing mounted: mounts stand in a namespace of their
// own, which the first disk enters; it must be made before there are other threads.
class loop_disk {
public:
    enum class kind : std::uint8_t { xfs, ext4, tmpfs };

    // The error says why there can be none here. XFS: at least 300 MiB.
    [[nodiscard]] static std::expected<std::unique_ptr<loop_disk>, std::string>
    make(kind what, std::uint64_t bytes);
    ~loop_disk();
    loop_disk(const loop_disk&) = delete;
    loop_disk& operator=(const loop_disk&) = delete;

    [[nodiscard]] const std::string& folder() const { return folder_; }
    // From now on nothing more reaches the disk, synced or not, and every call on it fails. Not for
    // tmpfs.
    void cut_power();
    // Mounts it again, with what had reached it. Nobody may have it open any more. Ends the program
    // with a message if the file system does not come back.
    void power_on();

private:
    loop_disk() = default;
    [[nodiscard]] std::string prepare(std::uint64_t bytes);
    [[nodiscard]] std::string attach();
    [[nodiscard]] std::string mount() const;

    kind what_ = kind::ext4;
    std::string root_;
    std::string image_;
    std::string folder_;
    std::string device_;
    int device_fd_ = -1;
    bool mounted_ = false;
};

[[nodiscard]] std::string_view name_of(loop_disk::kind what);

} // namespace immortal::faults
