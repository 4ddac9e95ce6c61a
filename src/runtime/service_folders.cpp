#include "runtime/service_folders.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <grp.h>
#include <pwd.h>
#include <sstream>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace immortal::runtime {

namespace fs = std::filesystem;

namespace {

std::string reason() {
    return std::error_code(errno, std::generic_category()).message();
}

base::status no_folder(const fs::path& folder, const std::string& why) {
    return base::fail(base::errc::unavailable,
                      "The folder " + folder.string() + " cannot be created or used: " + why + ".");
}

std::vector<gid_t> groups_of(const account& who) {
    int count = 64;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    if (getgrouplist(who.name.c_str(), who.gid, groups.data(), &count) < 0) {
        groups.resize(static_cast<std::size_t>(count));
        (void)getgrouplist(who.name.c_str(), who.gid, groups.data(), &count);
    }
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

// The parent of private folders outside the data folder: made by this account, or refused.
base::status make_parent(const fs::path& folder) {
    if (mkdir(folder.c_str(), 0711) != 0 && errno != EEXIST) {
        return no_folder(folder, reason());
    }
    struct stat found{};
    if (lstat(folder.c_str(), &found) != 0) {
        return no_folder(folder, reason());
    }
    if (!S_ISDIR(found.st_mode) || found.st_uid != geteuid() || (found.st_mode & 022) != 0) {
        return no_folder(folder, "it belongs to somebody else");
    }
    // Whatever the umask was, of this start or of an earlier one.
    return (found.st_mode & 0777) == 0711 || chmod(folder.c_str(), 0711) == 0
               ? base::status()
               : no_folder(folder, reason());
}

base::result<fs::path> system_socket_folder(const fs::path& data_folder,
                                            const std::string& service) {
    std::vector<fs::path> parents;
    const std::string user = std::to_string(geteuid());
    std::error_code failed;
    if (geteuid() == 0) {
        parents.emplace_back("/run/immortal");
    } else if (fs::is_directory("/run/user/" + user, failed)) {
        parents.emplace_back("/run/user/" + user + "/immortal");
    }
    parents.push_back("/tmp/immortal-" + user);
    base::status last;
    for (const fs::path& parent : parents) {
        const fs::path own = parent / short_name_of(data_folder);
        last = make_parent(parent);
        if (last) {
            last = make_parent(own);
        }
        if (last) {
            return own / service;
        }
    }
    return base::fail(last.error());
}

} // namespace

std::optional<account> find_account(const std::string& name) {
    const passwd* entry = getpwnam(name.c_str());
    if (entry == nullptr) {
        return std::nullopt;
    }
    return account{entry->pw_uid, entry->pw_gid, name};
}

base::result<std::optional<account>> service_account(const std::vector<std::string>& names) {
    if (geteuid() != 0) {
        return std::nullopt;
    }
    for (const std::string& name : names) {
        if (auto found = find_account(name)) {
            return found;
        }
    }
    return base::fail(base::errc::not_found,
                      "There is no account '" + (names.empty() ? std::string("?") : names.front()) +
                          "' on this machine: PostgreSQL does not run as root. Install Debian's "
                          "package postgresql, or start Immortality as an ordinary user.");
}

bool can_reach(const std::optional<account>& who, const fs::path& folder) {
    if (!who) {
        return access(folder.c_str(), X_OK) == 0 || errno == ENOENT;
    }
    const std::vector<gid_t> groups = groups_of(*who);
    fs::path way;
    for (const fs::path& part : fs::absolute(folder)) {
        way /= part;
        struct stat found{};
        if (stat(way.c_str(), &found) != 0) {
            return errno == ENOENT;
        }
        const bool in_group = std::find(groups.begin(), groups.end(), found.st_gid) != groups.end();
        const mode_t needed = found.st_uid == who->uid ? S_IXUSR : in_group ? S_IXGRP : S_IXOTH;
        if ((found.st_mode & needed) == 0) {
            return false;
        }
    }
    return true;
}

base::status make_private_folder(const fs::path& folder, const std::optional<account>& owner) {
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
        return no_folder(folder, reason());
    }
    struct stat found{};
    if (lstat(folder.c_str(), &found) != 0) {
        return no_folder(folder, reason());
    }
    if (!S_ISDIR(found.st_mode)) {
        return no_folder(folder, "something else has this name");
    }
    const uid_t wanted = owner ? owner->uid : geteuid();
    if (found.st_uid != wanted && (!owner || lchown(folder.c_str(), owner->uid, owner->gid) != 0)) {
        return no_folder(folder, "it belongs to another account");
    }
    if ((found.st_mode & 0777) != 0700 && chmod(folder.c_str(), 0700) != 0) {
        return no_folder(folder, reason());
    }
    return {};
}

mode_t passage_mode() {
    return geteuid() == 0 ? 0711 : 0700;
}

base::status make_folders(const fs::path& folder, mode_t mode) {
    std::error_code failed;
    if (fs::is_directory(folder, failed)) {
        return {};
    }
    if (folder.has_parent_path() && folder.parent_path() != folder) {
        if (auto made = make_folders(folder.parent_path(), 0755); !made) {
            return made;
        }
    }
    if (mkdir(folder.c_str(), 0700) == 0) {
        return chmod(folder.c_str(), mode) == 0 ? base::status() : no_folder(folder, reason());
    }
    const int number = errno;
    if (number == EEXIST && fs::is_directory(folder, failed)) {
        return {}; // another process was faster
    }
    return no_folder(folder, number == EEXIST ? "something else has this name"
                                              : std::generic_category().message(number));
}

base::status make_passage(const fs::path& folder) {
    if (auto made = make_folders(folder, passage_mode()); !made) {
        return made;
    }
    struct stat found{};
    const bool narrow = stat(folder.c_str(), &found) == 0 && found.st_uid == geteuid() &&
                        (found.st_mode & passage_mode()) != passage_mode();
    return !narrow || chmod(folder.c_str(), passage_mode()) == 0 ? base::status()
                                                                 : no_folder(folder, reason());
}

base::result<fs::path> make_socket_folder(const fs::path& data_folder, const std::string& service,
                                          const std::string& socket_name,
                                          const std::optional<account>& owner) {
    const auto fits = [&socket_name](const fs::path& folder) {
        const std::string path = (folder / socket_name).string();
        return path.size() <= socket_path_size_max && path.find(',') == std::string::npos;
    };
    const fs::path own = data_folder / "run" / service;
    fs::path chosen;
    if (fits(own) && can_reach(owner, data_folder)) {
        if (auto made = make_passage(own.parent_path()); !made) {
            return base::fail(made.error());
        }
        chosen = own;
    } else {
        const auto elsewhere = system_socket_folder(data_folder, service);
        if (!elsewhere) {
            return base::fail(elsewhere.error());
        }
        if (!fits(*elsewhere)) {
            return base::fail(base::errc::invalid_argument,
                              "The path of the folder " + elsewhere->string() +
                                  " is too long for a Unix socket; use a shorter data folder.");
        }
        chosen = *elsewhere;
    }
    if (auto made = make_private_folder(chosen, owner); !made) {
        return base::fail(made.error());
    }
    return chosen;
}

std::optional<fs::path> find_program(const std::string& name,
                                     const std::vector<fs::path>& folders) {
    std::vector<fs::path> places = folders;
    std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
    for (std::string place; std::getline(path, place, ':');) {
        places.emplace_back(place);
    }
    for (const fs::path& place : places) {
        const fs::path candidate = place / name;
        std::error_code failed;
        if (candidate.is_absolute() && access(candidate.c_str(), X_OK) == 0 &&
            fs::is_regular_file(candidate, failed)) {
            return candidate;
        }
    }
    return std::nullopt;
}

std::string short_name_of(const fs::path& folder) {
    const auto digest = base::blake2b(fs::absolute(folder).lexically_normal().string());
    return base::hex(digest).substr(0, 12);
}

} // namespace immortal::runtime
