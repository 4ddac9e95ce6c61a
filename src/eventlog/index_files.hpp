// Lets RocksDB work on the files of `base`: the same seam, the same faults in tests.
//
// RocksDB ends the process when it writes to a file after a failed write. So it never sees one.
// What passes (no space, no descriptor) is waited for, a write that failed is tried a few times
// more, and after that the writes of this database are swallowed: it has failed, what stands on the
// disk is as it was at that moment, and the folder must be opened anew (index_store.hpp).
#pragma once

#include "base/file.hpp"

#include <atomic>
#include <memory>
#include <mutex>
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
    // Why it failed; empty: it did not.
    [[nodiscard]] std::string failure() const;
    // What a write waits for now.
    enum class want : std::uint8_t { nothing, space, descriptors };
    [[nodiscard]] want waits_for() const { return waiting_.load(); }

    // Nothing is written any more.
    void fail(const std::string& cause);
    // From now on a write without space waits; before, while a start holds up its caller, it fails.
    void may_wait() { patient_.store(true); }
    // Waits give up, and nothing is written any more: what is under way fails at its next write.
    void stop() {
        patient_.store(false);
        stopped_.store(true);
    }

    // Whether an operation that failed for another reason than want of space or descriptors may be
    // repeated: a sync may not, since a second one says nothing about what the first one lost.
    enum class repeat : std::uint8_t { yes, no };
    // Calls `write` (which returns a base::file_status) until it succeeds; see above.
    template <typename Write>
    void persist(Write write, repeat how = repeat::yes) {
        for (int attempt = 1; !failed(); ++attempt) {
            if (stopped_.load()) {
                enter_failure("it is being closed");
                break;
            }
            const base::file_status done = write();
            if (done) {
                waiting_.store(want::nothing);
                break;
            }
            if (!wait_after(done.error(), how, attempt)) {
                fail(done.error().text);
            }
        }
    }

private:
    // False: it had failed before.
    bool enter_failure(const std::string& cause);
    // False: it is of no use to try again.
    [[nodiscard]] bool wait_after(const base::file_error& problem, repeat how, int attempt);

    base::file_system& files_;
    const std::string folder_;
    std::atomic<bool> failed_{false};
    mutable std::mutex failure_mutex_;
    std::string failure_;
    std::atomic<bool> patient_{false};
    std::atomic<bool> stopped_{false};
    std::atomic<want> waiting_{want::nothing};
};

// `on` outlives it.
[[nodiscard]] std::shared_ptr<rocksdb::FileSystem> make_rocksdb_files(index_files& on);

} // namespace immortal::eventlog
