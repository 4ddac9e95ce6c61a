// The guardian's own side: what runs in the forked process.
#pragma once

namespace immortal::runtime {

// Serves requests from `socket` until the other end is gone, then stops every child by its plan and
// ends the process. Never returns. The process is single-threaded.
[[noreturn]] void run_guardian(int socket) noexcept;

} // namespace immortal::runtime
