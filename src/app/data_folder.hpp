// The folder of everything a server keeps, and the lock that gives it to one process at a time.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

namespace immortal::app {

class data_folder {
public:
    // Makes the folder if there is none, and takes its lock. `user`: what takes it, for the
    // sentence others get ("immortal serve"). When the lock's owner is dead, its guardian is still
    // ending children: that is waited for, up to `patience`. Errors: already_exists with reason
    // "in_use" (a running process owns it), unavailable (it cannot be made or written),
    // invalid_argument (a name that cannot be used), not_found (with `refuse`: there is no data in
    // it). What is made is private, whatever the umask; as root the folder itself may be passed
    // through, for the accounts of the managed services.
    enum class when_absent { make, refuse };
    [[nodiscard]] static base::result<std::unique_ptr<data_folder>>
    open(const std::filesystem::path& folder, const std::string& user, when_absent policy,
         std::chrono::milliseconds patience = std::chrono::seconds(40));

    ~data_folder(); // gives the lock back, unless the guardian holds it too
    data_folder(const data_folder&) = delete;
    data_folder& operator=(const data_folder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; } // absolute
    [[nodiscard]] std::filesystem::path events() const { return path_ / "events"; }
    [[nodiscard]] std::filesystem::path logs() const { return path_ / "logs"; }
    [[nodiscard]] int lock_descriptor() const { return lock_; }

    // Where a running server listens for the operator's commands. It makes the folder of the socket
    // if need be. Errors: as runtime::make_socket_folder.
    [[nodiscard]] static base::result<std::filesystem::path>
    control_socket(const std::filesystem::path& folder);

    // Whether a server ever used the folder, or that cannot be seen: open() then says why.
    [[nodiscard]] static bool exists(const std::filesystem::path& folder);

    // The store of a game's events does not change by an option that was forgotten: whoever opens
    // the log in the folder, or makes one, asks this first. Errors: mismatch (the events are in a
    // remote store), not_found (with `refuse`: there is no log), unavailable (the folder cannot be
    // looked into). A sentence says what to do.
    [[nodiscard]] static base::status check_embedded(const std::filesystem::path& folder,
                                                     when_absent policy);
    // The same for whoever takes a remote store. Errors: mismatch (there is a log in the folder),
    // unavailable (whether that log was left behind cannot be read).
    [[nodiscard]] base::status check_remote() const;
    // From now on check_embedded() refuses, and names `address` (for people; no password). Errors:
    // unavailable (the file cannot be written).
    [[nodiscard]] base::status remember_remote(const std::string& address) const;

    // Absolute and without dots; the folder need not exist.
    [[nodiscard]] static std::filesystem::path absolute(const std::filesystem::path& folder);

private:
    // Whether there is an event log in the folder, or a restore of one that was not finished.
    [[nodiscard]] static bool has_event_log(const std::filesystem::path& folder);

    data_folder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

    std::filesystem::path path_;
    int lock_;
};

} // namespace immortal::app
