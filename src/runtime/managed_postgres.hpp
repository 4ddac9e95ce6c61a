// A private PostgreSQL, run as a child: own folder, own socket, nothing on TCP.
#pragma once

#include "base/result.hpp"
#include "runtime/guardian.hpp"
#include "runtime/supervised_process.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

namespace immortal::runtime {

class managed_postgres {
public:
    struct settings {
        std::filesystem::path data_folder = {}; // of the server; absolute, exists, locked by caller
        std::filesystem::path log_folder = {};  // exists; postgres.log is written there
        std::filesystem::path program_folder =
            {}; // of initdb and postgres; empty: they are looked for
        // Where the cluster goes when PostgreSQL's account cannot reach the data folder (as root).
        std::filesystem::path fallback_folder = "/var/lib/immortal";
        std::string database = "immortal";
        std::size_t connections_max = 64;
        std::size_t shared_buffers_mb = 128;
        std::chrono::milliseconds start_limit{60'000};
    };

    // `parent` outlives the object.
    managed_postgres(guardian& parent, settings options);
    ~managed_postgres(); // stop()
    managed_postgres(const managed_postgres&) = delete;
    managed_postgres& operator=(const managed_postgres&) = delete;

    // Makes the cluster if there is none (initdb, in a folder of another name until it is whole),
    // ends what a former run left behind in it, and begins to start the server. Blocks for initdb.
    // The cluster lies in <data>/postgres; elsewhere only if the file <data>/postgres.folder names
    // the place. A cluster that another server uses, or that belongs to another data folder, is
    // left alone. Errors: already_exists, unavailable, not_found, invalid_argument: a sentence for
    // the operator.
    [[nodiscard]] base::status begin();

    // Waits until it answers and the database exists. Errors: unavailable, with the reason from its
    // log and where the log is. From then on it is restarted whenever it ends.
    [[nodiscard]] base::status wait_ready();

    void begin_stop(); // does not wait
    void stop();       // fast shutdown; waits

    // After begin(), also while it is down. Connections are superusers' (`immortal`).
    [[nodiscard]] std::string uri() const;
    [[nodiscard]] const std::filesystem::path& folder() const; // of the cluster
    [[nodiscard]] std::filesystem::path log_file() const;
    [[nodiscard]] service_status status() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::runtime
