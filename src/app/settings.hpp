// Everything that can be configured: the registry of keys, and their values as plain structs.
#pragma once

#include "base/config.hpp"
#include "base/log.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace immortal::app {

using milliseconds = std::chrono::milliseconds;

struct server_settings {
    std::filesystem::path data;
    unsigned threads = 0; // never 0 after reading
    milliseconds stop_timeout{};
};

struct http_settings {
    std::string address; // "localhost": both loopback addresses
    std::uint16_t port = 0;
    std::string trusted_proxies; // numeric addresses, separated by commas
    std::size_t connections_max = 0;
    std::size_t connections_per_source_max = 0;
    std::size_t body_bytes_max = 0;
    std::size_t header_bytes_max = 0;
    milliseconds read_timeout{};
    milliseconds idle_timeout{};
    milliseconds write_timeout{};
    milliseconds request_timeout{};
    milliseconds after_timeout{};
};

struct esdb_settings {
    bool enabled = true;
    std::string address; // "localhost": both loopback addresses
    std::uint16_t port = 0;
    std::string advertised_host;
    std::size_t calls_max = 0;
    std::size_t append_bytes_max = 0;
    std::size_t unfinished_bytes_max = 0;
    std::size_t receive_bytes_max = 0;
    milliseconds commit_timeout{};
    milliseconds first_message_timeout{};
    milliseconds message_timeout{};
    milliseconds answer_timeout{};
    std::size_t receiving_max = 0;
    std::string tls_certificate; // files; empty: no TLS
    std::string tls_key;
    std::string tls_client_authority;
    bool tls_client_required = false;
    bool anonymous_streams = false;
    unsigned hashes_at_once = 0;
    std::size_t hash_queue_max = 0;
    std::size_t group_bytes_max = 0;
};

struct event_log_settings {
    std::uint64_t segment_bytes = 0;
    std::uint64_t free_bytes_min = 0;
    bool scavenge_reserve = true;
    std::size_t open_segments_max = 0;
    std::size_t queue_max = 0;
    std::size_t append_events_max = 0;
    std::size_t append_bytes_max = 0;
    milliseconds clock_jump{};
    milliseconds clock_hold{};
    bool index_correlations = true;
    std::size_t index_cache_bytes = 0;
};

struct postgres_settings {
    std::string uri; // empty: managed
    std::size_t connections = 0;
    milliseconds statement_timeout{};
};

struct redis_settings {
    std::string uri; // empty: managed
    std::size_t connections = 0;
    milliseconds timeout{};
};

struct limit_settings {
    double requests_per_second = 0;
    double requests_burst = 0;
    double logins_per_minute = 0;
    double registrations_per_hour = 0;
    double commands_per_second = 0;
    double commands_burst = 0;
};

struct account_settings {
    milliseconds session_idle{};
    milliseconds session_absolute{};
    std::size_t sessions_max = 0;
    unsigned hashes_at_once = 0;
    std::size_t hash_queue_max = 0;
};

struct command_settings {
    milliseconds timeout{};
    unsigned attempts_max = 0;
    std::size_t aggregates_max = 0;
    std::size_t waiting_max = 0;
    std::uint64_t snapshot_every = 0;
};

struct cache_settings {
    bool enabled = true;
    std::size_t local_entries_max = 0; // of each class
    bool warm_up = true;
};

struct job_settings {
    milliseconds interval{};
    milliseconds lease{};
};

struct projector_settings {
    std::size_t batch_events_max = 0;
};

// With a store in another process.
struct event_store_settings {
    std::string uri; // empty: embedded
    milliseconds gossip_timeout{};
    unsigned discover_attempts = 0;     // at the start
    unsigned discover_attempts_max = 0; // each time the connection was lost
    bool leader_only = false;
    milliseconds reconnection_delay{};
    milliseconds operation_timeout{};
    milliseconds check_period{};
    std::uint32_t epoch = 1;
};

struct settings {
    server_settings server;
    http_settings http;
    esdb_settings esdb;
    event_store_settings event_store;
    event_log_settings event_log;
    postgres_settings postgres;
    redis_settings redis;
    double time_scale = 1.0;
    std::int64_t unattended_hours = 0; // of game time
    limit_settings limits;
    account_settings accounts;
    command_settings commands;
    cache_settings cache;
    projector_settings projector;
    job_settings jobs;
    base::log_level log_level = base::log_level::info;
    base::log_format log_format = base::log_format::text;
};

// Every key of the product; lives as long as the program.
[[nodiscard]] const base::config_registry& settings_registry();

struct flag_value {
    std::string flag; // as the user typed it: "--http-port"
    std::string key;  // "http.port"
    std::string value;
};

// Loads the four layers: `file`, this process's IMMORTAL_* environment, `flags`. Refuses with a
// sentence for the user (see base::config). When `file` is absent, IMMORTAL_CONFIG names it.
[[nodiscard]] base::result<base::config>
load_config(const std::optional<std::filesystem::path>& file, const std::vector<flag_value>& flags);

// The values of a loaded configuration over settings_registry().
[[nodiscard]] settings read_settings(const base::config& config);

} // namespace immortal::app
