#include "app/data_folder.hpp"

#include "base/json.hpp"
#include "base/log.hpp"
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
    if (policy == when_absent::refuse && !exists(path)) {
        return base::fail(base::errc::not_found, "There is no data of Immortality in " +
                                                     path.string() +
                                                     "; name its folder with --data.");
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
    std::error_code failed;
    const fs::path path = absolute(folder);
    // With a remote event store there are no events here, but somebody held the folder once.
    return fs::exists(path / "events", failed) || fs::exists(path / "lock", failed);
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

base::error data_folder::no_event_log(const fs::path& folder) {
    return {base::errc::not_found, "There is no event log in " + absolute(folder).string() +
                                       "; name its folder with --data, or, if the events are in a "
                                       "remote event store, that store in event_store.uri."};
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
