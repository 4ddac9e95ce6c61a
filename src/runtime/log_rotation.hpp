// Keeps the logs of child processes small.
#pragma once

#include <filesystem>

namespace immortal::runtime {

// Renames `file` to `file`.1 (replacing it) when it is larger than 16 MiB; for use while nobody
// writes to it. Trouble is ignored: the log only grows on.
void rotate_log(const std::filesystem::path& file);

} // namespace immortal::runtime
