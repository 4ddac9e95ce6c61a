#include "eventlog/scavenge_reserve.hpp"

#include "base/log.hpp"

namespace immortal::eventlog {

using base::file_error;
using base::file_result;
using base::file_status;

file_result<std::optional<std::uint64_t>> scavenge_reserve::size() {
    const auto opened = files_.open(path(), base::open_mode::read);
    if (!opened && opened.error().what == file_error::kind::not_found) {
        return std::nullopt;
    }
    return opened ? (*opened)->size() : std::unexpected(opened.error());
}

file_result<bool> scavenge_reserve::holds(std::uint64_t bytes) {
    const auto present = size();
    return present ? file_result<bool>(*present && **present >= bytes)
                   : std::unexpected(present.error());
}

file_result<bool> scavenge_reserve::keep(std::uint64_t free_min) {
    if (bytes_ == 0) {
        static_cast<void>(files_.remove(path())); // of a time when it was wanted
        return false;
    }
    const auto present = size();
    if (!present) {
        return std::unexpected(present.error());
    }
    const std::uint64_t replaced = present->value_or(0);
    if (replaced >= bytes_) {
        return true;
    }
    const auto free = files_.free_space(folder_);
    if (!free) {
        return std::unexpected(free.error());
    }
    if (*free + replaced < free_min + bytes_) {
        return false;
    }
    if (auto made = make(); !made) {
        static_cast<void>(files_.remove(path()));
        return std::unexpected(made.error());
    }
    return true;
}

file_status scavenge_reserve::make() {
    // One that is too small is the rest of an interrupted making, or of another segment size.
    if (auto removed = files_.remove(path());
        !removed && removed.error().what != file_error::kind::not_found) {
        return removed;
    }
    const auto file = files_.open(path(), base::open_mode::create_new);
    if (!file) {
        return std::unexpected(file.error());
    }
    auto done = (*file)->allocate(bytes_);
    done = done ? (*file)->sync() : done;
    return done ? files_.sync_directory(folder_) : done;
}

file_result<std::unique_ptr<base::file>> scavenge_reserve::lend(const std::string& target) {
    base::log_info("eventlog", "a scavenge writes into its reserve", {{"bytes", bytes_}});
    if (auto renamed = files_.rename(path(), target); !renamed) {
        return std::unexpected(renamed.error());
    }
    return files_.open(target, base::open_mode::read_write);
}

file_status scavenge_reserve::take_back(const std::string& source) {
    if (auto renamed = files_.rename(source, path()); !renamed) {
        static_cast<void>(files_.remove(source));
        return renamed;
    }
    const auto file = files_.open(path(), base::open_mode::read_write);
    auto whole = file ? (*file)->allocate(bytes_) : std::unexpected(file.error());
    if (!whole) {
        static_cast<void>(files_.remove(path()));
    }
    return whole;
}

} // namespace immortal::eventlog
