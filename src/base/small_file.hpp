// Files that people and other programs put beside the server: configuration, keys, certificates.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <filesystem>
#include <string>

namespace immortal::base {

// More than any configuration or PEM file holds, and little to read.
constexpr std::size_t small_file_size_max = 1u << 20;

// The whole content of a regular file of at most `size_max` bytes; links are followed. Never waits
// for another program, and never reads more, whatever the path names: a FIFO, a device, a folder.
// (A disk or a network file system that does not answer is waited for.) Errors: not_found,
// forbidden, invalid_argument (no regular file), too_large, unavailable; the message is a sentence
// without its full stop that begins with the path: "/etc/x is a folder".
[[nodiscard]] result<std::string> read_small_file(const std::filesystem::path& path,
                                                  std::size_t size_max = small_file_size_max);

} // namespace immortal::base
