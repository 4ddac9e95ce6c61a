#include "app/backup_place.hpp"

#include "app/data_folder.hpp"
#include "app/tool.hpp"

#include <fmt/format.h>

#include <algorithm>
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

using eventlog::backup_entry;

// Where the backup of this name stands, also one whose manifest cannot be read.
eventlog::backup_place place_of(const std::vector<backup_entry>& entries, const std::string& name) {
    const auto found = std::ranges::find(entries, name, &backup_entry::name);
    return found != entries.end() ? found->place()
                                  : eventlog::backup_place::parse(name).value_or(
                                        eventlog::backup_place{.line = 0, .epoch = 0, .end = {}});
}

bool reaches(const backup_entry& entry, std::uint64_t position) {
    return entry.manifest->events > 0 && entry.manifest->last_event.value >= position;
}

} // namespace

std::string advice_after_damage(const fs::path& place, const std::vector<backup_entry>& entries,
                                const std::string& damaged, std::optional<std::uint64_t> position) {
    const eventlog::backup_place left = place_of(entries, damaged);
    const auto newest = [&](auto fits) -> const backup_entry* {
        const auto found =
            std::find_if(entries.rbegin(), entries.rend(), [&](const backup_entry& entry) {
                return entry.name != damaged && entry.good() && fits(entry);
            });
        return found == entries.rend() ? nullptr : &*found;
    };
    const auto is_same = [&](const backup_entry& entry) {
        return entry.place().line == left.line && entry.place().epoch == left.epoch;
    };
    const auto command = [&](const backup_entry& entry) {
        return fmt::format("`immortal restore --from {} --backup {}", shell_word(place.string()),
                           shell_word(entry.name));
    };
    if (position) {
        if (const auto* whole = newest([&](const backup_entry& entry) {
                return is_same(entry) && reaches(entry, *position);
            })) {
            return fmt::format("; then {} --at {}` into the same data folder.", command(*whole),
                               *position);
        }
    }
    if (const auto* same = newest(is_same)) {
        return fmt::format(
            "; then {}` into the same data folder{}.", command(*same),
            position ? ": that backup ends before position " + std::to_string(*position) : "");
    }
    const auto* other = newest([&](const backup_entry& entry) { //
        return entry.place().line == left.line;
    });
    other = other == nullptr ? newest([](const backup_entry&) { return true; }) : other;
    if (other == nullptr) {
        return ". No other backup there has all its pieces.";
    }
    return fmt::format(
        ". No other backup of the same history has all its pieces. The newest that has them is of "
        "line {}, epoch {}, another history of the log{}; to have that one: {}` into the same data "
        "folder.",
        other->place().line, other->place().epoch,
        position ? ", where positions mean other events" : "", command(*other));
}

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
