#include "app/backup_place.hpp"

#include "app/data_folder.hpp"

#include <fmt/format.h>

#include <system_error>

namespace immortal::app {

namespace fs = std::filesystem;

namespace {

// Also by another path: through links, or where a folder is mounted a second time.
bool is_same(const fs::path& one, const fs::path& other) {
    std::error_code failed; // where nothing is, the names tell
    return one == other || fs::equivalent(one, other, failed);
}

bool is_in(const fs::path& place, const fs::path& folder) {
    const fs::path whole = data_folder::absolute(folder);
    for (fs::path each = data_folder::absolute(place);; each = each.parent_path()) {
        if (is_same(each, whole)) {
            return true;
        }
        if (each == each.parent_path()) {
            return false;
        }
    }
}

} // namespace

base::status check_backups_there(const fs::path& place) {
    const auto has = [&place](const char* kind) {
        std::error_code failed;
        return fs::is_directory(place / kind, failed);
    };
    std::error_code failed;
    if (fs::status(place, failed).type() == fs::file_type::none) {
        return base::fail(base::errc::unavailable, "The folder of the backups, " + place.string() +
                                                       ", cannot be read: " + failed.message() +
                                                       ".");
    }
    if (!has("manifests") && !has("blobs")) {
        return base::fail(base::errc::not_found, "There are no backups in " + place.string() +
                                                     "; name their folder with --from.");
    }
    return {};
}

base::status check_apart(const fs::path& place, const fs::path& data) {
    if (!is_in(place, data) && !is_in(place, data / "events")) {
        return {};
    }
    return base::fail(base::errc::invalid_argument,
                      fmt::format("--to: {} is in the data folder {}, with which it would be lost. "
                                  "Name a folder outside of it, best on another disk.",
                                  place.string(), data_folder::absolute(data).string()));
}

base::status check_restored_apart(const fs::path& place, const fs::path& data) {
    if (!is_same(data_folder::absolute(place), data_folder::absolute(data))) {
        return {};
    }
    return base::fail(base::errc::invalid_argument,
                      fmt::format("--data: {} is the folder of the backups itself. Name another "
                                  "one for the log that is restored.",
                                  data.string()));
}

std::string remedy_for(const fs::path& place) {
    return fmt::format(
        "To have a good one again: see whether the log is sound (`immortal log verify`) and back "
        "it up into an empty folder (`immortal backup --to DIR`). Into {0} only after the damaged "
        "files were moved out of {0}/blobs and {0}/manifests, because a backup uses those that "
        "are there; then verify again. Until there is a good one, do not prune here.\n",
        place.string());
}

} // namespace immortal::app
