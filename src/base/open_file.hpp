// open(2) for a name behind which anything may stand.
#pragma once

#include <sys/types.h>

namespace immortal::base {

// Does not wait for the other end of a FIFO or of a line, makes no terminal the controlling one, is
// closed in other programs (O_CLOEXEC), and is not disturbed by signals. A regular file on which
// another process holds a lease (fcntl, Samba, the kernel's NFS server) is waited for, until it is
// given up or the kernel takes it away (after fs.lease-break-time, 45 s): nothing is wrong with
// such a file. -1 with errno. Thread-safe.
[[nodiscard]] int open_file(const char* path, int flags, mode_t mode = 0640);

} // namespace immortal::base
