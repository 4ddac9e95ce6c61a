// The command line: parsed into plain structs, one for each command.
#pragma once

#include "app/settings.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace immortal::app {

// Exit codes of the program.
enum exit_code : int {
    exit_success = 0,
    exit_failure = 1, // it was understood, and did not succeed
    exit_usage = 2,   // the command line or the configuration is wrong
};

// Where the configuration comes from, for every command that works on a data folder.
struct configuration {
    std::optional<std::filesystem::path> file;
    std::vector<flag_value> flags;
};

struct serve_options {
    configuration config;
    bool json = false; // one JSON object instead of the screen
};
[[nodiscard]] int run_serve(const serve_options& options);
[[nodiscard]] int run_store_serve(const serve_options& options);

struct store_password_options {
    configuration config;
    std::string login = "admin";
    bool make = false; // the user, if there is none
    bool json = false;
};
[[nodiscard]] int run_store_password(const store_password_options& options);

struct check_options {
    configuration config;
    std::optional<std::uint64_t> sample;
    bool json = false;
};
[[nodiscard]] int run_check(const check_options& options);

struct rebuild_options {
    configuration config;
    bool other_log = false; // the tables may be those of another log
    bool json = false;
};
[[nodiscard]] int run_rebuild(const rebuild_options& options);

struct stream_read_options {
    configuration config;
    std::string stream;
    std::optional<std::uint64_t> from;
    std::optional<std::uint64_t> count;
    bool backwards = false;
    bool json = false;
};
[[nodiscard]] int run_stream_read(const stream_read_options& options);

struct log_options {
    configuration config;
    bool json = false;
};
[[nodiscard]] int run_log_info(const log_options& options);
[[nodiscard]] int run_log_verify(const log_options& options);

struct log_dump_options {
    configuration config;
    std::optional<std::uint64_t> from;
    std::optional<std::uint64_t> count;
    std::string stream; // empty: all
    bool json = false;
};
[[nodiscard]] int run_log_dump(const log_dump_options& options);

struct scavenge_command_options {
    enum class action { start, status, stop };
    configuration config;
    action what = action::start;
    std::uint64_t threads = 1;
    std::uint64_t from_segment = 0;
    std::uint64_t megabytes_per_second = 0;
    bool dry_run = false;
    bool json = false;
};
[[nodiscard]] int run_log_scavenge(const scavenge_command_options& options);

struct backup_options {
    enum class action { make, list, prune, verify };
    configuration config;
    action what = action::make;
    std::filesystem::path place;
    std::uint64_t lease_seconds = 120;
    std::uint64_t keep = 0; // to prune
    std::uint64_t grace_hours = 24;
    std::uint64_t dropped_line = 0; // 0: none
    std::string backup;             // to verify; empty: all
    std::string sample;             // "N" or "P%"; empty: everything
    bool json = false;
};
[[nodiscard]] int run_backup(const backup_options& options);

struct restore_command_options {
    configuration config;
    std::filesystem::path place;
    std::string backup; // empty: the newest
    std::optional<std::uint64_t> at;
    bool json = false;
};
[[nodiscard]] int run_restore(const restore_command_options& options);

[[nodiscard]] int run_version(bool json);

// Reads the arguments and runs the command; gives the exit code.
[[nodiscard]] int run_command_line(int count, char** arguments);

} // namespace immortal::app
