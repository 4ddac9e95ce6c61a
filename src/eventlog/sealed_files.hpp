// The files of closed segments: as many as there are, but only some of them open.
//
// A segment's file is open while the segment is written. Then it is sealed: it is opened again, for
// reading, when somebody reads it, and closed when others are read meanwhile and too many are open.
// Who reads holds the open file until the read ends, so that `open_max` and one more for each
// reader are open at most.
#pragma once

#include "base/file.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace immortal::eventlog {

class segment_file;

// Thread-safe. `files` outlives it.
class sealed_files {
public:
    sealed_files(base::file_system& files, std::size_t open_max)
        : files_(files), open_max_(open_max) {}

    [[nodiscard]] base::file_system& files() const { return files_; }
    // Grows with each file that is opened: what was read at a lower value was read longer ago.
    [[nodiscard]] std::uint64_t instant() const { return instant_.load(std::memory_order_relaxed); }
    // `opened` is open now; closes the one that was not read for the longest time if that is one
    // too many.
    void note_open(segment_file& opened);
    // It is about to end.
    void forget(segment_file& ended);

private:
    base::file_system& files_;
    const std::size_t open_max_;
    std::atomic<std::uint64_t> instant_{0};
    std::mutex mutex_;
    std::vector<segment_file*> open_;
};

// The file of one segment. Reads run on any threads, also beside seal().
class segment_file final : public base::file {
public:
    // Stays open until it is sealed.
    explicit segment_file(std::unique_ptr<base::file> opened) : open_(std::move(opened)) {}
    ~segment_file() override;
    segment_file(const segment_file&) = delete;
    segment_file& operator=(const segment_file&) = delete;

    // It is no longer written, and open only when it is needed. `path`: where it stands. Its
    // contents may be replaced there by those of the same segment after a scavenge.
    void seal(std::shared_ptr<sealed_files> among, std::string path);
    // Closes the file until the next read. Preconditions: sealed.
    void release();

    // The file as it is now, for reads that belong together: they do not see what takes its place
    // meanwhile, and it stays open until they end. Errors: those of opening it.
    [[nodiscard]] base::file_result<std::shared_ptr<base::file>> hold() { return acquire(); }
    // Two of them may meet two files (hold). Errors: also those of opening it.
    base::file_result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override;
    base::file_result<std::uint64_t> size() override;
    // Preconditions: not sealed.
    base::file_status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
    base::file_status write_uncached_at(std::uint64_t offset,
                                        std::span<const std::byte> bytes) override;
    base::file_status sync() override;
    base::file_status truncate(std::uint64_t size) override;

private:
    friend class sealed_files;
    [[nodiscard]] base::file_result<std::shared_ptr<base::file>> acquire();
    [[nodiscard]] std::shared_ptr<base::file> written();
    void close();

    std::mutex mutex_;
    std::shared_ptr<base::file> open_;    // null: closed for now
    std::shared_ptr<sealed_files> among_; // null: not sealed
    std::string path_;
    std::atomic<std::uint64_t> last_read_{0}; // an instant of `among_`
};

} // namespace immortal::eventlog
