#include "runtime/postgres_cluster.hpp"

#include "base/log.hpp"
#include "base/random.hpp"
#include "base/small_file.hpp"
#include "runtime/cluster_claim.hpp"
#include "runtime/processes.hpp"
#include "runtime/service_folders.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <system_error>

namespace immortal::runtime {

namespace fs = std::filesystem;

namespace {

constexpr auto initdb_limit = std::chrono::minutes(3);
// What a new cluster takes, 40 MiB, and room for its first segments of WAL and temporary files.
constexpr std::uintmax_t cluster_bytes_min = std::uintmax_t{96} << 20u;

// Debian keeps each version's programs in a folder of its own; the newest first.
std::vector<fs::path> program_folders(const std::string& version) {
    std::vector<std::pair<double, fs::path>> found;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", failed)) {
        const std::string name = entry.path().filename().string();
        if (version.empty() || version == name) {
            found.emplace_back(std::strtod(name.c_str(), nullptr), entry.path() / "bin");
        }
    }
    std::sort(found.rbegin(), found.rend());
    std::vector<fs::path> out;
    for (auto& [number, folder] : found) {
        out.push_back(std::move(folder));
    }
    return out;
}

base::result<fs::path> find_programs(const fs::path& given, const std::string& version) {
    const auto folders = given.empty() ? program_folders(version) : std::vector<fs::path>{given};
    const auto initdb = find_program("initdb", folders);
    if (!initdb) {
        return base::fail(base::errc::not_found,
                          "PostgreSQL's programs (initdb, postgres) were not found. Install "
                          "Debian's package postgresql-15, or name a server with --postgres URI.");
    }
    std::error_code failed;
    const fs::path real = fs::canonical(*initdb, failed).parent_path(); // PATH may hold links
    if (failed || !find_program("postgres", {real})) {
        return base::fail(base::errc::not_found,
                          "PostgreSQL's server program was not found beside " + initdb->string() +
                              ". Install Debian's package postgresql-15.");
    }
    return real;
}

// Names a place before anything is made there, so that a making that was interrupted is gone on
// with in the same place; the data folder's own number keeps a copy of it from going on with it
// too.
fs::path draft_of(const fs::path& record) {
    return record.string() + ".new";
}

std::string number_of(const fs::path& data_folder) {
    struct stat found{};
    (void)stat(data_folder.c_str(), &found);
    return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
}

base::result<fs::path> new_place(const managed_postgres::settings& options) {
    const fs::path draft = draft_of(cluster_record(options.data_folder));
    const std::string number = number_of(options.data_folder);
    {
        std::istringstream in(base::read_small_file(draft).value_or(std::string()));
        std::string place;
        std::string maker;
        std::getline(in, place);
        std::getline(in, maker);
        if (maker == number &&
            fs::path(place).parent_path().parent_path() == options.fallback_folder) {
            return fs::path(place);
        }
    }
    base::system_random random;
    fs::path place = options.fallback_folder / base::random_hex(random, 8) / "postgres";
    std::ofstream out(draft);
    out << place.string() << '\n' << number << '\n';
    out.flush();
    if (!out) {
        return base::fail(base::errc::unavailable,
                          "The file " + draft.string() + " cannot be written.");
    }
    return place;
}

// The place of a cluster that PostgreSQL's account cannot have within the data folder.
base::result<fs::path> choose_place_elsewhere(const managed_postgres::settings& options,
                                              const std::optional<account>& run_as) {
    if (auto made = make_passage(options.fallback_folder); !made) {
        return base::fail(made.error());
    }
    auto place = new_place(options);
    if (!place) {
        return place;
    }
    if (auto made = make_passage(place->parent_path()); !made) {
        return base::fail(made.error());
    }
    if (!can_reach(run_as, place->parent_path())) {
        return base::fail(base::errc::unavailable,
                          "PostgreSQL's account '" + run_as->name + "' can reach neither " +
                              options.data_folder.string() + " nor " + place->string() +
                              "; use a data folder that it can enter.");
    }
    return place;
}

// The place of the cluster: the one on record, else within the data folder, else elsewhere under a
// name that no other data folder has, whatever its path.
base::result<fs::path> choose_folder(const managed_postgres::settings& options,
                                     const std::optional<account>& run_as) {
    const fs::path record = cluster_record(options.data_folder);
    if (fs::exists(record)) {
        const fs::path recorded = first_line(record);
        if (!fs::exists(recorded / "PG_VERSION")) {
            return base::fail(base::errc::unavailable,
                              "The PostgreSQL folder " + recorded.string() + ", named in " +
                                  record.string() +
                                  ", is missing. It holds the accounts: bring it back, or delete "
                                  "that file to begin with an empty one.");
        }
        return recorded;
    }
    fs::path own = options.data_folder / "postgres";
    if (can_reach(run_as, options.data_folder)) {
        return own;
    }
    if (fs::exists(own / "PG_VERSION")) { // never replaced by an empty one in silence
        return base::fail(base::errc::unavailable,
                          "PostgreSQL's account '" + run_as->name + "' can no longer reach " +
                              own.string() + ", which holds the accounts; let it pass through " +
                              options.data_folder.string() + " and the folders above.");
    }
    return choose_place_elsewhere(options, run_as);
}

// Once the cluster is whole.
base::status record_folder(const managed_postgres::settings& options, const fs::path& folder) {
    const fs::path record = cluster_record(options.data_folder);
    if (folder.parent_path() == options.data_folder || fs::exists(record)) {
        return {};
    }
    std::error_code failed;
    fs::rename(draft_of(record), record, failed);
    return failed ? base::status(base::fail(base::errc::unavailable,
                                            "The file " + record.string() + " cannot be written."))
                  : base::status();
}

process_spec initdb_spec(const postgres_cluster& cluster, const fs::path& folder,
                         const fs::path& log_file) {
    process_spec spec;
    spec.program = (cluster.programs / "initdb").string();
    spec.arguments = {"--pgdata=" + folder.string(), "--username=immortal", "--auth-local=trust",
                      "--auth-host=reject",          "--encoding=UTF8",     "--locale=C.UTF-8"};
    spec.environment = postgres_environment();
    spec.log_file = log_file.string();
    spec.run_as = cluster.run_as;
    // With its whole group: what it leaves half made is removed by the next start.
    spec.stop_plan = {{SIGKILL, std::chrono::seconds(1)}};
    return spec;
}

std::optional<exit_status> await_initdb(guardian& parent, child_process& child) {
    const auto until = std::chrono::steady_clock::now() + initdb_limit;
    while (std::chrono::steady_clock::now() < until) {
        if (const auto ended = child.wait(std::chrono::seconds(1))) {
            return ended;
        }
        if (child.is_overdue()) {
            break;
        }
        parent.wake(); // it may have to tell that initdb has ended
    }
    return child.stop();
}

// Into a folder of another name, so that a cluster that bears its name is whole.
base::status initialise(guardian& parent, const postgres_cluster& cluster,
                        const fs::path& log_file) {
    const fs::path draft = cluster.folder.string() + ".new";
    std::error_code failed;
    (void)stop_processes(find_processes("initdb", draft.string()), {});
    (void)stop_processes(find_processes("postgres", draft.string()), {});
    fs::remove_all(draft, failed);
    if (auto room = check_cluster_room(cluster.folder.parent_path()); !room) {
        return room;
    }
    if (auto made = make_private_folder(draft, cluster.run_as); !made) {
        return made;
    }
    const auto log_start = fs::exists(log_file) ? fs::file_size(log_file, failed) : 0;
    auto child = parent.spawn(initdb_spec(cluster, draft, log_file));
    if (!child) {
        return base::fail(child.error());
    }
    const auto ended = await_initdb(parent, *child);
    if (!ended || !ended->success()) {
        // Others may have filled the disk meanwhile.
        if (auto room = check_cluster_room(cluster.folder.parent_path()); !room) {
            fs::remove_all(draft, failed);
            return room;
        }
        return base::fail(base::errc::unavailable,
                          "PostgreSQL's folder could not be made: " +
                              reason_in_log(log_file.string(), log_start,
                                            {"initdb: error:", "FATAL:", "could not"}) +
                              " (" + (ended ? ended->text() : "it does not end") +
                              "). The log is " + log_file.string() + ".");
    }
    fs::rename(draft, cluster.folder, failed);
    if (failed) {
        return base::fail(base::errc::unavailable, "The folder " + cluster.folder.string() +
                                                       " cannot be made: " + failed.message() +
                                                       ".");
    }
    base::log_info("runtime", "PostgreSQL's folder was made",
                   {{"folder", cluster.folder.string()}});
    return {};
}

} // namespace

base::status check_cluster_room(const fs::path& place) {
    std::error_code failed;
    const auto space = fs::space(place, failed);
    if (failed || space.capacity == 0 || space.available >= cluster_bytes_min) {
        return {};
    }
    return base::fail(base::errc::exhausted,
                      "The disk of " + place.string() + " is full: PostgreSQL's " +
                          "folder, which is made there at the first start, needs " +
                          std::to_string(cluster_bytes_min >> 20u) + " MiB, and " +
                          std::to_string(space.available >> 20u) +
                          " MiB are free. Free some space, or name a data folder on another disk "
                          "with --data, or a PostgreSQL of your own with --postgres.");
}

std::vector<stop_step> postgres_stop_plan() {
    return {{SIGINT, std::chrono::seconds(15)}, {SIGQUIT, std::chrono::seconds(5)}};
}

std::vector<std::string> postgres_environment() {
    return {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/"};
}

base::result<postgres_cluster> open_postgres_cluster(guardian& parent,
                                                     const managed_postgres::settings& options) {
    postgres_cluster cluster;
    auto run_as = service_account({"postgres"});
    if (!run_as) {
        return base::fail(run_as.error());
    }
    cluster.run_as = std::move(*run_as);
    auto folder = choose_folder(options, cluster.run_as);
    if (!folder) {
        return base::fail(folder.error());
    }
    cluster.folder = std::move(*folder);
    const bool exists = fs::exists(cluster.folder);
    const std::string version = first_line(cluster.folder / "PG_VERSION");
    if (exists && version.empty()) {
        return base::fail(base::errc::unavailable,
                          "The folder " + cluster.folder.string() +
                              " exists and is not a PostgreSQL folder (PG_VERSION is missing). "
                              "Move it away, or use another data folder.");
    }
    auto programs = find_programs(options.program_folder, version);
    if (!programs) {
        return base::fail(programs.error());
    }
    cluster.programs = std::move(*programs);
    if (!exists) {
        if (auto made = initialise(parent, cluster, options.log_folder / "postgres.log"); !made) {
            return base::fail(made.error());
        }
    }
    if (auto recorded = record_folder(options, cluster.folder); !recorded) {
        return base::fail(recorded.error());
    }
    auto claimed = claim_cluster(cluster.folder, options.data_folder, cluster.run_as);
    if (!claimed) {
        return base::fail(claimed.error());
    }
    cluster.claim = std::move(*claimed);
    return cluster;
}

} // namespace immortal::runtime
