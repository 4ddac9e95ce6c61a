// A file in a service's folder whose lock says that a running server uses the folder.
#pragma once

#include "base/result.hpp"
#include "runtime/process_spec.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace immortal::runtime {

// The lock is this process's alone: no child inherits it, and the kernel gives it back when the
// process ends, however it ends. One thread.
class folder_lock {
public:
    // Opens `file` (made if there is none, private, for `owner` if given) and locks it; does not
    // wait. Errors: already_exists (somebody else holds it), unavailable (a sentence that names the
    // file and the reason).
    [[nodiscard]] static base::result<std::unique_ptr<folder_lock>>
    take(const std::filesystem::path& file, const std::optional<account>& owner);

    ~folder_lock(); // gives the lock back
    folder_lock(const folder_lock&) = delete;
    folder_lock& operator=(const folder_lock&) = delete;

    // What the file says. Errors: unavailable.
    [[nodiscard]] base::status write(const std::string& text);

private:
    folder_lock(std::filesystem::path file, int descriptor)
        : file_(std::move(file)), descriptor_(descriptor) {}

    std::filesystem::path file_;
    int descriptor_;
};

} // namespace immortal::runtime
