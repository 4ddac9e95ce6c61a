// The folder of backups as the commands see it: where it may be, and what is left of it after
// damage.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <string>

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

// What to do when backups in `place` are damaged, as sentences.
[[nodiscard]] std::string remedy_for(const std::filesystem::path& place);

} // namespace immortal::app
