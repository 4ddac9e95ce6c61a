// The file descriptors of this process: how many it may have, and a few that are kept for the log.
//
// Connections can use up all descriptors, and then the log could not begin its next segment. So a
// few are really held; only the log's files may have them (posix_file_system), and who accepts
// connections accepts none while some of them are lent out. The log's writer takes them back, and
// so does who asks whether all are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace immortal::base {

struct descriptor_limits {
    std::uint64_t before = 0; // RLIMIT_NOFILE as it was
    std::uint64_t now = 0;
    std::uint64_t hard = 0; // what this user may have at most
};
// Raises the process's limit of open descriptors to the hard one, and gives what was reached.
[[nodiscard]] descriptor_limits raise_descriptor_limit();

// Thread-safe.
class descriptor_reserve {
public:
    // Holds `size` descriptors, or as many of them as can be had.
    explicit descriptor_reserve(std::size_t size);
    ~descriptor_reserve();
    descriptor_reserve(const descriptor_reserve&) = delete;
    descriptor_reserve& operator=(const descriptor_reserve&) = delete;

    // Closes one of them, so that the next open() can succeed; false: none is left.
    [[nodiscard]] bool give_one();
    // Whether all are held; takes back first what can be had. Cheap while they are.
    [[nodiscard]] bool is_whole();
    [[nodiscard]] std::size_t held() const;

private:
    void refill();

    const std::size_t size_;
    mutable std::mutex mutex_;
    std::vector<int> held_;
};

} // namespace immortal::base
