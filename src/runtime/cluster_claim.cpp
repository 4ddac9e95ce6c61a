#include "runtime/cluster_claim.hpp"

#include "base/log.hpp"
#include "base/small_file.hpp"
#include "runtime/processes.hpp"
#include "runtime/service_folders.hpp"

#include <system_error>

namespace immortal::runtime {

namespace fs = std::filesystem;

namespace {

bool same(const fs::path& one, const fs::path& other) {
    std::error_code failed;
    return fs::equivalent(one, other, failed) && !failed;
}

// Whether the server of `data_folder` would use the cluster in `folder`.
bool names(const fs::path& data_folder, const fs::path& folder) {
    const std::string recorded = first_line(cluster_record(data_folder));
    return recorded.empty() ? same(data_folder / "postgres", folder) : same(recorded, folder);
}

std::string remedy(const fs::path& data_folder) {
    return "For a PostgreSQL of its own, without accounts and with tables made anew from the "
           "events, delete " +
           cluster_record(data_folder).string() +
           "; how the accounts are copied too is in docs/operations.md.";
}

base::error in_use(const fs::path& folder, const fs::path& data_folder, const fs::path& owner) {
    std::string out = "The PostgreSQL folder " + folder.string() + " of the data folder " +
                      data_folder.string() + " is in use by another running server";
    if (!owner.empty() && owner != data_folder) {
        return {base::errc::already_exists, out + ", that of the data folder " + owner.string() +
                                                ". Is this one a copy? It was left alone. " +
                                                remedy(data_folder)};
    }
    return {base::errc::already_exists, out + ". It was left alone: stop that server first."};
}

base::error of_another(const fs::path& folder, const fs::path& data_folder, const fs::path& owner) {
    return {base::errc::already_exists,
            "The PostgreSQL folder " + folder.string() + " belongs to the data folder " +
                owner.string() + ", and so does not serve " + data_folder.string() +
                ", which seems to be a copy. It was left alone. " + remedy(data_folder)};
}

} // namespace

fs::path cluster_record(const fs::path& data_folder) {
    return data_folder / "postgres.folder";
}

std::string first_line(const fs::path& file) {
    const auto content = base::read_small_file(file);
    return content ? content->substr(0, content->find('\n')) : std::string();
}

base::result<std::unique_ptr<folder_lock>> claim_cluster(const fs::path& folder,
                                                         const fs::path& data_folder,
                                                         const std::optional<account>& owner) {
    const fs::path file = folder / "immortal.owner";
    const fs::path recorded = first_line(file);
    auto lock = folder_lock::take(file, owner);
    if (!lock && lock.error().code == base::errc::already_exists) {
        return base::fail(in_use(folder, data_folder, recorded));
    }
    std::error_code failed;
    const fs::path real = fs::canonical(folder, failed).parent_path();
    if (!lock || (!failed && same(real, data_folder))) {
        return lock; // within the data folder, whose own lock says whose it is
    }
    if (recorded.empty()) {
        // Made by a version that locks no cluster, for a data folder whose path gave the name.
        const bool own = real.filename() == short_name_of(data_folder);
        if (!own && !find_processes("postgres", folder.string()).empty()) {
            return base::fail(in_use(folder, data_folder, {}));
        }
    } else if (recorded != data_folder && !same(recorded, data_folder) && names(recorded, folder)) {
        return base::fail(of_another(folder, data_folder, recorded));
    }
    if (recorded != data_folder) {
        if (auto written = (*lock)->write(data_folder.string() + "\n"); !written) {
            return base::fail(written.error());
        }
        base::log_info("runtime", "the PostgreSQL folder belongs to this data folder now",
                       {{"folder", folder.string()}, {"before", recorded.string()}});
    }
    return lock;
}

} // namespace immortal::runtime
