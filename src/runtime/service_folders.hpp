// Where a managed service lives: its account, its folders, the place of its socket.
#pragma once

#include "base/result.hpp"
#include "runtime/process_spec.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace immortal::runtime {

// Longest path of a Unix socket that every system here takes, bytes.
constexpr std::size_t socket_path_size_max = 107;

[[nodiscard]] std::optional<account> find_account(const std::string& name);

// The account for services: empty (this process's own) unless it is root; as root the first of
// `names` that exists. Errors: not_found.
[[nodiscard]] base::result<std::optional<account>>
service_account(const std::vector<std::string>& names);

// True if `who` (empty: this process) may pass through every folder on the way to `folder` and
// enter it, by permission bits. What does not exist yet counts as reachable.
[[nodiscard]] bool can_reach(const std::optional<account>& who,
                             const std::filesystem::path& folder);

// Makes `folder` (its parent exists) for `owner` alone, mode 0700; if it exists, it must be a real
// folder, and is given to `owner`. Errors: unavailable (a sentence that names folder and reason).
[[nodiscard]] base::status make_private_folder(const std::filesystem::path& folder,
                                               const std::optional<account>& owner);

// Creates what is missing: the way there with mode 0755, `folder` itself with `mode`, whatever this
// process's umask is. What exists keeps its mode. Errors: unavailable.
[[nodiscard]] base::status make_folders(const std::filesystem::path& folder, mode_t mode);

// The mode of a folder that holds only what has modes of its own: as root, when services run under
// other accounts, all may pass through it (0711), else it is its owner's (0700).
[[nodiscard]] mode_t passage_mode();

// make_folders() with that mode, for a folder that is this program's alone: one that exists with a
// narrower mode is widened. Errors: unavailable.
[[nodiscard]] base::status make_passage(const std::filesystem::path& folder);

// A private folder for the sockets of `service`, such that a socket called `socket_name` in it has
// a short enough path, and one without a comma (libpq takes that for the end of a host): within
// `data_folder` if its path is so and reachable, else in a folder of the system's that is derived
// from it and the user's id, not from the environment: a command finds the server's. Errors:
// unavailable, invalid_argument.
[[nodiscard]] base::result<std::filesystem::path>
make_socket_folder(const std::filesystem::path& data_folder, const std::string& service,
                   const std::string& socket_name, const std::optional<account>& owner);

// The absolute path of a program: the first of `folders` that has it, else PATH; empty if none.
[[nodiscard]] std::optional<std::filesystem::path>
find_program(const std::string& name, const std::vector<std::filesystem::path>& folders);

// A short name derived from a folder's path: 12 hexadecimal digits.
[[nodiscard]] std::string short_name_of(const std::filesystem::path& folder);

} // namespace immortal::runtime
