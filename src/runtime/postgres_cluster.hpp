// The cluster of a managed PostgreSQL: its programs, its place, its making.
#pragma once

#include "base/result.hpp"
#include "runtime/folder_lock.hpp"
#include "runtime/guardian.hpp"
#include "runtime/managed_postgres.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::runtime {

struct postgres_cluster {
    std::filesystem::path programs; // folder of initdb and postgres
    std::filesystem::path folder;
    std::optional<account> run_as;
    std::unique_ptr<folder_lock> claim; // held while the server may run
};

// How PostgreSQL is ended: fast shutdown, immediate shutdown.
[[nodiscard]] std::vector<stop_step> postgres_stop_plan();

// The environment its programs get: nothing of this process's PG* variables.
[[nodiscard]] std::vector<std::string> postgres_environment();

// Whether the disk of the folder `place` has room for a new cluster. A file system that tells no
// sizes (of FUSE, for instance) is not judged. Error: exhausted, with a sentence for the operator.
[[nodiscard]] base::status check_cluster_room(const std::filesystem::path& place);

// Finds account, place and programs; makes the cluster when there is none, and claims it. Errors as
// in managed_postgres::begin.
[[nodiscard]] base::result<postgres_cluster>
open_postgres_cluster(guardian& parent, const managed_postgres::settings& options);

} // namespace immortal::runtime
