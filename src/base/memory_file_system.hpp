// A file system in memory that fails, loses power and corrupts on command, for tests.
//
// It remembers what was synced and what was not. A power cut throws away, keeps or tears what was
// not: contents before file::sync(), names before sync_directory().
#pragma once

#include "base/file.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace immortal::base {

// What happens to unsynced writes, truncations and names in a power cut.
enum class cut_policy : std::uint8_t {
    drop_all,    // only what was synced is left
    keep_all,    // everything had reached the disk, although nobody had asked
    keep_random, // any subset of the unsynced sectors of 512 bytes; lost ones inside a file are
                 // zeros
    tear_last,   // like keep_all, but the last write stops at a random sector
    reorder,     // whole writes reach the disk in any order; the power fails on the way
};

// Thread-safe.
class memory_file_system final : public file_system {
public:
    explicit memory_file_system(std::uint64_t seed = 1);
    ~memory_file_system() override;
    memory_file_system(memory_file_system&&) noexcept;
    memory_file_system& operator=(memory_file_system&&) noexcept;

    file_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;
    file_status rename(const std::string& from, const std::string& to) override;
    file_status remove(const std::string& path) override;
    file_result<std::vector<std::string>> list(const std::string& folder) override;
    file_status make_directory(const std::string& folder) override;
    file_status sync_directory(const std::string& folder) override;
    file_result<std::uint64_t> free_space(const std::string& folder) override;
    file_result<std::unique_ptr<file_lock>> lock(const std::string& path) override;

    enum class step_kind : std::uint8_t {
        write,
        sync,
        truncate,
        create,
        rename,
        remove,
        folder_sync
    };
    // Steps are the calls that change something, counted from 1.
    [[nodiscard]] std::uint64_t steps() const;
    // That step, and all later ones if `sticky`, fail with `what`. A failing write writes a random
    // part of its bytes; a failing sync makes nothing durable, ever.
    void fail_at(std::uint64_t step, file_error::kind what, bool sticky);
    // Every step of this kind fails from now on; empty: none.
    void fail_all(std::optional<step_kind> kind, file_error::kind what = file_error::kind::io);
    // Every read fails from now on, or none does.
    void fail_reads(bool yes);
    // Nothing can be opened, listed, locked or synced by name from now on, for want of a
    // descriptor; what is open goes on. After the first `left` of such calls.
    void fail_opens(bool yes, std::uint64_t left = 0);
    // How often a file was opened, a folder listed or synced.
    [[nodiscard]] std::uint64_t opens() const;
    // Files that are open now, and the most that ever were.
    [[nodiscard]] std::size_t open_files() const;
    [[nodiscard]] std::size_t open_files_most() const;
    // The power fails before that step: it and all later calls fail until restart().
    void lose_power_at(std::uint64_t step);
    void lose_power_now();
    [[nodiscard]] bool lost_power() const;
    // What is left after the power cut is there again; old files and locks are dead. Clears all
    // faults.
    void restart(cut_policy policy);

    // Syncs answer success and do nothing: the negative control of every crash test.
    void ignore_syncs(bool yes);
    void set_free_space(std::uint64_t bytes);
    // The disk holds so many bytes: free_space() is what is left of them, and a write that does not
    // fit fails with kind::no_space. A file without a name takes its room until it is closed.
    void set_capacity(std::uint64_t bytes);

    // Damage at rest.
    [[nodiscard]] std::string contents(const std::string& path) const;
    void set_contents(const std::string& path, std::string bytes);
    // Who has the file open sees it, too. No effect where the file is gone or ends before.
    void flip_bit(const std::string& path, std::uint64_t offset, unsigned bit);

private:
    struct state;
    class open_file;
    class held_lock;
    std::shared_ptr<state> state_;
};

} // namespace immortal::base
