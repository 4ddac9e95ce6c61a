#include "runtime/managed_postgres.hpp"

#include "base/assert.hpp"
#include "runtime/cluster_claim.hpp"
#include "runtime/log_rotation.hpp"
#include "runtime/postgres_cluster.hpp"
#include "runtime/processes.hpp"
#include "runtime/service_folders.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

namespace immortal::runtime {

namespace fs = std::filesystem;

namespace {

// Part of the socket's name only. Not PostgreSQL's default, so that a client without a port does
// not get here by chance.
constexpr int port = 5439;
constexpr auto socket_lock_name = ".s.PGSQL.5439.lock";

using connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using answer = std::unique_ptr<PGresult, decltype(&PQclear)>;

// For a list in PostgreSQL's configuration, whose parts stand in quotes.
std::string list_part(const fs::path& folder) {
    std::string out = "\"";
    for (const char c : folder.string()) {
        out += c == '"' ? std::string("\"\"") : std::string(1, c);
    }
    return out + '"';
}

std::string connection_text(const fs::path& sockets, const std::string& database) {
    // The folder's path goes into a quoted value, where ' and \ are escaped.
    std::string quoted;
    for (const char c : sockets.string()) {
        if (c == '\'' || c == '\\') {
            quoted += '\\';
        }
        quoted += c;
    }
    return "host='" + quoted + "' port=" + std::to_string(port) +
           " user=immortal dbname=" + database + " connect_timeout=2";
}

base::status no_answer(PGconn* c) {
    std::string why = PQerrorMessage(c);
    why.erase(why.find_last_not_of('\n') + 1);
    return base::fail(base::errc::unavailable, std::move(why));
}

// Another server could hold the socket for a moment, so it must say that it serves our folder.
base::status probe(const fs::path& sockets, const std::string& database, const fs::path& folder) {
    const connection c(PQconnectdb(connection_text(sockets, database).c_str()), &PQfinish);
    if (PQstatus(c.get()) != CONNECTION_OK) {
        return no_answer(c.get());
    }
    const answer limited(PQexec(c.get(), "SET statement_timeout = '5s'"), &PQclear);
    const answer a(PQexec(c.get(), "SHOW data_directory"), &PQclear);
    if (PQresultStatus(a.get()) != PGRES_TUPLES_OK || PQntuples(a.get()) != 1) {
        return no_answer(c.get());
    }
    std::error_code failed;
    if (!fs::equivalent(PQgetvalue(a.get(), 0, 0), folder, failed)) {
        return base::fail(base::errc::unavailable,
                          "another PostgreSQL answers in " + sockets.string());
    }
    return {};
}

// The first probe that is answered also makes the database.
base::status probe_or_make(const fs::path& sockets, const std::string& database,
                           const fs::path& folder) {
    if (auto answered = probe(sockets, database, folder); answered) {
        return answered;
    }
    if (auto other = probe(sockets, "postgres", folder); !other) {
        return other;
    }
    const connection c(PQconnectdb(connection_text(sockets, "postgres").c_str()), &PQfinish);
    // tidy-allow(sql-from-strings): a name has no parameter form; it is the program's own.
    const answer made(PQexec(c.get(), ("CREATE DATABASE " + database).c_str()), &PQclear);
    return probe(sockets, database, folder);
}

// For PostgreSQL a killed postmaster that nobody has collected yet still runs.
void await_collected(pid_t postmaster) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    for (auto found = identity_of(postmaster);
         postmaster > 0 && found && !is_running(*found) && std::chrono::steady_clock::now() < until;
         found = identity_of(postmaster)) {
        // tidy-allow(banned): a start waits here as it does for those that are still ending.
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

} // namespace

struct managed_postgres::state {
    state(guardian& p, settings o) : parent(p), options(std::move(o)) {}

    [[nodiscard]] process_spec server_spec() const;
    [[nodiscard]] base::status end_leftovers() const;

    guardian& parent;
    settings options;
    postgres_cluster cluster;
    fs::path sockets;
    std::unique_ptr<supervised_process> process;
};

process_spec managed_postgres::state::server_spec() const {
    process_spec spec;
    spec.program = (cluster.programs / "postgres").string();
    spec.arguments = {"-D", cluster.folder.string()};
    // On the command line, so that they hold whatever the folder's own files say.
    const auto set = [&spec](const std::string& name, const std::string& value) {
        spec.arguments.push_back("-c");
        spec.arguments.push_back(name + "=" + value);
    };
    set("listen_addresses", "");
    set("unix_socket_directories", list_part(sockets));
    set("unix_socket_permissions", "0700");
    set("port", std::to_string(port));
    set("max_connections", std::to_string(options.connections_max));
    set("shared_buffers", std::to_string(options.shared_buffers_mb) + "MB");
    set("fsync", "on");
    set("synchronous_commit", "on");
    set("full_page_writes", "on");
    set("wal_compression", "on");
    set("max_wal_size", "1GB");
    set("checkpoint_timeout", "10min");
    set("random_page_cost", "1.1");
    set("jit", "off");
    set("timezone", "UTC");
    set("log_timezone", "UTC");
    set("logging_collector", "off");
    set("log_destination", "stderr");
    set("log_line_prefix", "%m [%p] ");
    set("log_min_messages", "warning");
    set("log_checkpoints", "off");
    spec.environment = postgres_environment();
    spec.log_file = (options.log_folder / "postgres.log").string();
    spec.run_as = cluster.run_as;
    spec.stop_plan = postgres_stop_plan();
    return spec;
}

// Whoever holds the cluster's lock is its only user: what still runs in the cluster's folder was
// left by a run whose guardian was killed too, or by a postmaster that was.
base::status managed_postgres::state::end_leftovers() const {
    rotate_log(options.log_folder / "postgres.log");
    const auto left = find_processes("postgres", cluster.folder.string());
    pid_t postmaster = -1;
    std::istringstream(first_line(cluster.folder / "postmaster.pid")) >> postmaster;
    const bool whole = std::any_of(left.begin(), left.end(),
                                   [&](const auto& process) { return process.pid == postmaster; });
    // Without their postmaster the others can only be dropped; the next start recovers anyhow.
    using std::chrono::seconds;
    const auto plan = whole ? std::vector<stop_step>{{SIGINT, seconds(5)}, {SIGQUIT, seconds(3)}}
                            : std::vector<stop_step>{{SIGQUIT, seconds(2)}};
    if (!stop_processes(left, plan)) {
        return base::fail(base::errc::unavailable,
                          "A PostgreSQL that an earlier run left behind in " +
                              cluster.folder.string() + " does not end.");
    }
    await_collected(postmaster);
    return {};
}

managed_postgres::managed_postgres(guardian& parent, settings options)
    : state_(std::make_unique<state>(parent, std::move(options))) {}

managed_postgres::~managed_postgres() {
    stop();
}

base::status managed_postgres::begin() {
    IMMORTAL_ASSERT(state_->process == nullptr);
    auto cluster = open_postgres_cluster(state_->parent, state_->options);
    if (!cluster) {
        return base::fail(cluster.error());
    }
    state_->cluster = std::move(*cluster);
    auto sockets = make_socket_folder(state_->options.data_folder, "postgres", socket_lock_name,
                                      state_->cluster.run_as);
    if (!sockets) {
        state_->cluster.claim.reset();
        return base::fail(sockets.error());
    }
    state_->sockets = std::move(*sockets);
    supervised_process::settings s;
    s.name = "PostgreSQL";
    s.log_file = log_file().string();
    s.reason_marks = {"FATAL:", "PANIC:"};
    s.start_limit = state_->options.start_limit;
    s.prepare = [me = state_.get()] { return me->end_leftovers(); };
    s.make_spec = [me = state_.get()] { return me->server_spec(); };
    s.probe = [me = state_.get()] {
        return probe_or_make(me->sockets, me->options.database, me->cluster.folder);
    };
    state_->process = std::make_unique<supervised_process>(state_->parent, std::move(s));
    state_->process->begin();
    return {};
}

base::status managed_postgres::wait_ready() {
    IMMORTAL_ASSERT(state_->process != nullptr);
    return state_->process->wait_ready();
}

void managed_postgres::begin_stop() {
    if (state_->process != nullptr) {
        state_->process->begin_stop();
    }
}

void managed_postgres::stop() {
    if (state_->process != nullptr) {
        state_->process->stop();
    }
}

std::string managed_postgres::uri() const {
    return connection_text(state_->sockets, state_->options.database);
}

const fs::path& managed_postgres::folder() const {
    return state_->cluster.folder;
}

fs::path managed_postgres::log_file() const {
    return state_->options.log_folder / "postgres.log";
}

service_status managed_postgres::status() const {
    return state_->process != nullptr ? state_->process->status() : service_status{};
}

} // namespace immortal::runtime
