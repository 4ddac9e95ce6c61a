// Lets RocksDB work on the files of `base`: the same seam, the same faults in tests.
//
// RocksDB ends the process when it writes to a file after a failed write. So it never sees one: a
// full disk is waited for, and after any other failure its writes are swallowed and the folder is
// marked as unusable (its CURRENT file is removed), so that the next start makes a new index.
#pragma once

#include "base/file.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace rocksdb {
class FileSystem;
}

namespace immortal::eventlog {

// Thread-safe.
class index_files {
public:
    index_files(base::file_system& files, std::string folder)
        : files_(files), folder_(std::move(folder)) {}

    [[nodiscard]] base::file_system& files() const { return files_; }
    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] bool failed() const { return failed_.load(std::memory_order_acquire); }
    [[nodiscard]] bool waiting_for_space() const { return waiting_.load(); }

    // Nothing is written any more, and the next start makes a new index.
    void fail(const std::string& cause);
    // From now on a write without space waits; before, while a start holds up its caller, it fails.
    void may_wait() { patient_.store(true); }
    // A wait for space gives up, now and from now on.
    void stop() { patient_.store(false); }

    // Calls `write` (which returns a base::file_status) until it succeeds; see above.
    template <typename Write>
    void persist(Write write) {
        while (!failed()) {
            const base::file_status done = write();
            if (done) {
                waiting_.store(false);
                break;
            }
            if (done.error().what != base::file_error::kind::no_space || !wait_for_space()) {
                fail(done.error().text);
            }
        }
    }

private:
    [[nodiscard]] bool wait_for_space();

    base::file_system& files_;
    const std::string folder_;
    std::atomic<bool> failed_{false};
    std::atomic<bool> patient_{false};
    std::atomic<bool> waiting_{false};
};

// `on` outlives it.
[[nodiscard]] std::shared_ptr<rocksdb::FileSystem> make_rocksdb_files(index_files& on);

} // namespace immortal::eventlog
