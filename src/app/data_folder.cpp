#include "app/data_folder.hpp"

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/small_file.hpp"
#include "runtime/processes.hpp"
#include "runtime/service_folders.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace immortal::app {

namespace fs = std::filesystem;

namespace {

// What the lock file says: "<pid> <start time> <user>".
struct owner {
    runtime::process_identity process;
    std::string user;
};

std::optional<owner> read_owner(int fd) {
    std::array<char, 256> bytes{};
    const ssize_t size = pread(fd, bytes.data(), bytes.size(), 0);
    std::istringstream in(std::string(bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0));
    owner out;
    in >> out.process.pid >> out.process.start_ticks;
    std::getline(in >> std::ws, out.user);
    return in ? std::optional(out) : std::nullopt;
}

void write_owner(int fd, const std::string& user) {
    const auto self = runtime::identity_of(getpid());
    const std::string text = std::to_string(getpid()) + " " +
                             std::to_string(self ? self->start_ticks : 0) + " " + user + "\n";
    // Only for the sentence that others get: a failure here harms nothing.
    (void)!ftruncate(fd, 0);
    (void)!pwrite(fd, text.data(), text.size(), 0);
}

base::error in_use(const fs::path& folder, const owner& by) {
    return {base::errc::already_exists,
            "The data folder " + folder.string() + " belongs to a running process (" + by.user +
                ", process " + std::to_string(by.process.pid) +
                "). Stop it first, or use another folder with --data.",
            "in_use"};
}

// The name goes into logs, JSON and configuration lines of other programs.
base::status check_name(const fs::path& folder) {
    const std::string text = folder.string();
    const bool control =
        std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; });
    if (control || !base::parse_json(base::json_text(base::json::value(text)))) {
        return base::fail(base::errc::invalid_argument,
                          std::string("The name of the data folder holds ") +
                              (control ? "a line break or another control character"
                                       : "bytes that are not UTF-8") +
                              "; use another folder with --data.");
    }
    return {};
}

base::error cannot(const fs::path& folder, const std::string& what) {
    return {base::errc::unavailable,
            "The data folder " + folder.string() + " cannot be used: " + what + "."};
}

std::string words(int number) {
    return std::error_code(number, std::generic_category()).message();
}

base::status take_lock(int fd, const fs::path& folder, std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    for (bool said = false;; said = true) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return {};
        }
        if (errno != EWOULDBLOCK) {
            return base::fail(cannot(folder, words(errno)));
        }
        const auto by = read_owner(fd);
        if (by && runtime::is_running(by->process)) {
            return base::fail(in_use(folder, *by));
        }
        if (std::chrono::steady_clock::now() >= until) {
            return base::fail(cannot(folder, "what an earlier run started in it does not end"));
        }
        if (!said) {
            base::log_info("app", "waiting for what an earlier run left behind to end");
        }
        // tidy-allow(banned): before any thread or executor exists.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

constexpr auto remote_file = "event-store"; // the address of a remote one, a line of text

// Empty optional: the folder's events are its own. The text may be empty, if it was lost. Error:
// unavailable (the folder cannot be looked into, or the file not read).
base::result<std::optional<std::string>> remote_address(const fs::path& folder) {
    const fs::path file = folder / remote_file;
    std::error_code failed;
    const auto found = fs::status(file, failed);
    if (found.type() == fs::file_type::not_found) {
        return std::nullopt;
    }
    if (failed) {
        return base::fail(cannot(folder, failed.message()));
    }
    if (!fs::is_regular_file(found)) {
        return std::string();
    }
    const auto text = base::read_small_file(file);
    if (text) {
        std::string address = text->substr(0, text->find('\n'));
        const bool plain =
            std::ranges::all_of(address, [](char c) { return c > ' ' && c < '\x7f'; });
        return plain ? address : std::string(); // it goes to terminals
    }
    if (text.error().code == base::errc::too_large) { // it is none of ours
        return std::string();
    }
    return base::fail(cannot(folder, text.error().message));
}

// Whether a server ever used the folder. Error: unavailable (it cannot be looked into).
base::result<bool> is_used(const fs::path& folder) {
    // With a remote event store there are no events here, but somebody held the folder once.
    for (const char* part : {"events", "lock"}) {
        std::error_code failed;
        const auto found = fs::status(folder / part, failed);
        if (fs::exists(found)) {
            return true;
        }
        if (found.type() != fs::file_type::not_found) {
            return base::fail(cannot(folder, failed.message()));
        }
    }
    return false;
}

} // namespace

fs::path data_folder::absolute(const fs::path& folder) {
    std::error_code failed;
    const fs::path canonical = fs::weakly_canonical(fs::absolute(folder), failed);
    fs::path out = failed ? fs::absolute(folder).lexically_normal() : canonical;
    return out.has_filename() ? out : out.parent_path();
}

base::result<std::unique_ptr<data_folder>> data_folder::open(const fs::path& folder,
                                                             const std::string& user,
                                                             when_absent policy,
                                                             std::chrono::milliseconds patience) {
    const fs::path path = absolute(folder);
    if (auto usable = check_name(path); !usable) {
        return base::fail(usable.error());
    }
    if (policy == when_absent::refuse) {
        const auto used = is_used(path);
        if (!used) {
            return base::fail(used.error());
        }
        if (!*used) {
            return base::fail(base::errc::not_found, "There is no data of Immortality in " +
                                                         path.string() +
                                                         "; name its folder with --data.");
        }
    }
    auto made = runtime::make_folders(path, runtime::passage_mode());
    if (made) {
        made = runtime::make_folders(path / "logs", 0700);
    }
    if (!made) {
        return base::fail(base::errc::unavailable, "The data folder " + path.string() +
                                                       " cannot be used. " + made.error().message);
    }
    const int fd = ::open((path / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return base::fail(cannot(path, "it is not writable (" + words(errno) + ")"));
    }
    if (auto taken = take_lock(fd, path, patience); !taken) {
        close(fd);
        return base::fail(taken.error());
    }
    write_owner(fd, user);
    return std::unique_ptr<data_folder>(new data_folder(path, fd));
}

bool data_folder::exists(const fs::path& folder) {
    return is_used(absolute(folder)).value_or(true); // who opens it says what is wrong
}

bool data_folder::has_event_log(const fs::path& folder) {
    std::error_code failed;
    fs::directory_iterator entry(absolute(folder) / "events", failed);
    if (failed) { // what cannot be read may hold one: who opens it says why not
        return failed != std::errc::no_such_file_or_directory;
    }
    return std::any_of(begin(entry), end(entry), [](const fs::directory_entry& one) {
        return one.path().filename() != "lock" && one.path().filename() != "index";
    });
}

base::status data_folder::check_embedded(const fs::path& folder, when_absent policy) {
    const fs::path path = absolute(folder);
    const auto kept = remote_address(path);
    if (!kept) {
        return base::fail(kept.error());
    }
    if (const auto& address = *kept) {
        return base::fail(
            base::errc::mismatch,
            "The events of " + path.string() + " are in another event store (" +
                (address->empty() ? "its address is lost" : *address) +
                "), not in this folder. `serve`, `check`, `rebuild` and `stream read` "
                "take that store (--event-store); other commands work on a log in "
                "the data folder: use the tools of that store, or name another "
                "folder with --data.");
    }
    if (policy == when_absent::refuse && !has_event_log(path)) {
        return base::fail(base::errc::not_found,
                          "There is no event log in " + path.string() +
                              "; name its folder with --data, or, if the events are in a remote "
                              "event store, that store in event_store.uri.");
    }
    return {};
}

base::status data_folder::check_remote() const {
    if (!has_event_log(path_)) {
        return {};
    }
    const auto kept = remote_address(path_);
    if (!kept) {
        return base::fail(kept.error());
    }
    if (*kept) {
        return {};
    }
    return base::fail(base::errc::mismatch,
                      "There is an event log in " + events().string() +
                          ", and the events of one game are in one store. Start without "
                          "--event-store, or name another folder with --data. If that log was "
                          "made by mistake and holds nothing, move it away.");
}

base::status data_folder::remember_remote(const std::string& address) const {
    if (const auto kept = remote_address(path_); kept && *kept == address) {
        return {};
    } // what cannot be read is written anew
    // Whatever a power cut leaves of it: that it is there is what counts.
    const fs::path draft = path_ / (std::string(remote_file) + ".new");
    (void)::unlink(draft.c_str()); // whatever it is, it is not followed
    const std::string text = address + '\n';
    const int fd =
        ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool kept = fd >= 0 && ::write(fd, text.data(), text.size()) == std::ssize(text);
    kept = fd >= 0 && ::close(fd) == 0 && kept;
    if (!kept || ::rename(draft.c_str(), (path_ / remote_file).c_str()) != 0) {
        return base::fail(base::errc::unavailable, "which event store it uses cannot be written "
                                                   "into " +
                                                       path_.string() + ": " + words(errno));
    }
    return {};
}

data_folder::~data_folder() {
    close(lock_);
}

base::result<fs::path> data_folder::control_socket(const fs::path& folder) {
    constexpr auto name = "control.sock";
    const auto made = runtime::make_socket_folder(absolute(folder), "control", name, std::nullopt);
    if (!made) {
        return base::fail(made.error());
    }
    return *made / name;
}

} // namespace immortal::app
