#include "runtime/log_rotation.hpp"

#include <system_error>

namespace immortal::runtime {

void rotate_log(const std::filesystem::path& file) {
    constexpr std::uintmax_t size_max = 16u << 20;
    std::error_code failed;
    const auto size = std::filesystem::file_size(file, failed);
    if (!failed && size > size_max) {
        std::filesystem::rename(file, file.string() + ".1", failed);
    }
}

} // namespace immortal::runtime
