// The folder of backups as the commands see it: where it may be, and what is left of it after
// damage.
#pragma once

#include "base/result.hpp"
#include "eventlog/backup.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace immortal::app {

// Whether there are backups in a folder. Errors: not_found, unavailable (it cannot be read).
[[nodiscard]] base::status check_backups_there(const std::filesystem::path& place);

// Whether backups of the log in `data` may be kept in `place`, which need not be there: not in the
// data folder, by whatever path, where they would be lost with it. Errors: invalid_argument.
[[nodiscard]] base::status check_apart(const std::filesystem::path& place,
                                       const std::filesystem::path& data);

// Whether a log may be restored from the backups in `place` into the data folder `data`: not into
// the folder of the backups itself. Errors: invalid_argument.
[[nodiscard]] base::status check_restored_apart(const std::filesystem::path& place,
                                                const std::filesystem::path& data);

// Which other backup to restore where `damaged` (a name) cannot be, as the rest of a sentence:
// "; then `...` into the same data folder." Of the same history the newest, with `position` (that
// of --at) where it reaches so far; else of another, which it says. `entries`: of the target, the
// oldest first.
[[nodiscard]] std::string advice_after_damage(const std::filesystem::path& place,
                                              const std::vector<eventlog::backup_entry>& entries,
                                              const std::string& damaged,
                                              std::optional<std::uint64_t> position);

// What to do when backups in `place` are damaged, as sentences.
[[nodiscard]] std::string remedy_for(const std::filesystem::path& place);

} // namespace immortal::app
