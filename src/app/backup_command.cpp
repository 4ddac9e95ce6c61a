// immortal backup, immortal backup list, immortal backup prune, immortal restore
#include "app/data_folder.hpp"
#include "app/log_tool.hpp"
#include "app/tool.hpp"
#include "base/clock.hpp"
#include "base/file.hpp"
#include "eventlog/backup.hpp"

#include <fmt/format.h>

#include <chrono>
#include <unistd.h>

namespace immortal::app {

namespace json = base::json;

namespace {

// Shows how far it is, on standard error and not too often, if someone looks.
class progress_line {
public:
    explicit progress_line(bool wanted) : wanted_(wanted && isatty(2) != 0) {}

    bool show(const eventlog::backup_progress& at) {
        const auto now = std::chrono::steady_clock::now();
        if (wanted_ && now - last_ >= std::chrono::milliseconds(200)) {
            last_ = now;
            fmt::print(stderr, "\r{} of {} MiB  ", at.bytes_done >> 20u, at.bytes_total >> 20u);
            shown_ = true;
        }
        return true;
    }
    ~progress_line() {
        if (shown_) {
            fmt::print(stderr, "\n");
        }
    }
    progress_line(const progress_line&) = delete;
    progress_line& operator=(const progress_line&) = delete;

private:
    bool wanted_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point last_;
};

json::object object_of(const eventlog::backup_manifest& manifest) {
    json::object out{{"name", manifest.name().substr(manifest.name().find('/') + 1)},
                     {"logId", manifest.log.id.text()},
                     {"epoch", manifest.log.epoch},
                     {"created", base::iso_text(manifest.created)},
                     {"events", manifest.events},
                     {"end", manifest.end.value},
                     {"bytes", manifest.stored_bytes()}};
    out["lastPosition"] =
        manifest.events == 0 ? json::value(nullptr) : json::value(manifest.last_event.value);
    return out;
}

int make(const backup_options& options, const settings& loaded, eventlog::backup_target& target) {
    base::posix_file_system files;
    base::system_clock clock;
    const auto data = data_folder::absolute(loaded.server.data);
    progress_line line(!options.json);
    const auto made = eventlog::make_backup((data / "events").string(), files, clock, target,
                                            [&line](const auto& at) { return line.show(at); });
    if (!made && made.error().code == base::errc::not_found) {
        return report({base::errc::not_found, "There is no event log in " + data.string() +
                                                  "; name its folder with --data."});
    }
    if (!made) {
        return report(made.error());
    }
    if (options.json) {
        json::object out = object_of(made->manifest);
        out["bytesNew"] = made->bytes_new;
        out["piecesNew"] = made->blobs_new;
        print_json_line(out);
    } else {
        fmt::print("Backup {}: {} events up to position {}, {} bytes; {} bytes were new.\n",
                   text_of(object_of(made->manifest), "name"), made->manifest.events,
                   made->manifest.end.value, made->manifest.stored_bytes(), made->bytes_new);
    }
    return exit_success;
}

int list(const backup_options& options, eventlog::backup_target& target) {
    const auto entries = eventlog::list_backups(target);
    if (!entries) {
        return report(entries.error());
    }
    bool good = true;
    for (const eventlog::backup_entry& entry : *entries) {
        good = good && entry.manifest.has_value();
        if (options.json) {
            print_json_line(entry.manifest
                                ? object_of(*entry.manifest)
                                : json::object{{"name", entry.name},
                                               {"problem", entry.manifest.error().message}});
        } else if (entry.manifest) {
            fmt::print("{}  {}  {} events, {} bytes\n", entry.name,
                       base::iso_text(entry.manifest->created), entry.manifest->events,
                       entry.manifest->stored_bytes());
        } else {
            fmt::print("{}  DAMAGED: {}\n", entry.name, entry.manifest.error().message);
        }
    }
    if (entries->empty() && !options.json) {
        fmt::print("There are no backups in {}.\n", options.place.string());
    }
    return good ? exit_success : exit_failure;
}

int prune(const backup_options& options, eventlog::backup_target& target) {
    const auto done = eventlog::prune_backups(target, options.keep);
    if (!done) {
        return report(done.error());
    }
    if (options.json) {
        print_json_line({{"backupsRemoved", done->backups_removed},
                         {"piecesRemoved", done->blobs_removed},
                         {"bytesRemoved", done->bytes_removed}});
    } else {
        fmt::print("{} backups and {} pieces were removed: {} bytes.\n", done->backups_removed,
                   done->blobs_removed, done->bytes_removed);
    }
    return exit_success;
}

base::result<eventlog::restore_report> restore_into(const std::filesystem::path& data,
                                                    const restore_command_options& options) {
    base::posix_file_system files;
    base::system_clock clock;
    const auto folder = data_folder::open(data, "immortal restore", data_folder::when_absent::make);
    if (!folder) {
        return base::fail(folder.error());
    }
    const auto from =
        eventlog::make_folder_target(files, data_folder::absolute(options.place).string());
    eventlog::restore_options wanted;
    wanted.backup = options.backup;
    if (options.at) {
        wanted.at = base::position{*options.at};
    }
    progress_line line(!options.json);
    wanted.progress = [&line](const auto& at) { return line.show(at); };
    auto done = eventlog::restore_backup(*from, (*folder)->events().string(), files, clock, wanted);
    if (!done && done.error().code == base::errc::already_exists && done.error().reason.empty()) {
        return base::fail(base::errc::already_exists,
                          "There is an event log in " + (*folder)->events().string() +
                              ": name another data folder, or move this one away first.");
    }
    return done;
}

} // namespace

int run_backup(const backup_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    base::posix_file_system files;
    const auto target =
        eventlog::make_folder_target(files, data_folder::absolute(options.place).string());
    switch (options.what) {
    case backup_options::action::make:
        return make(options, *loaded, *target);
    case backup_options::action::list:
        return list(options, *target);
    case backup_options::action::prune:
        return prune(options, *target);
    }
    return exit_failure;
}

int run_restore(const restore_command_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    const auto done = restore_into(loaded->server.data, options);
    if (!done) {
        return report(done.error());
    }
    json::object out{{"logId", done->log.id.text()},
                     {"epoch", done->log.epoch},
                     {"backup", done->backup},
                     {"events", done->events},
                     {"end", done->end.value}};
    out["lastPosition"] =
        done->last_event ? json::value(done->last_event->value) : json::value(nullptr);
    if (options.json) {
        print_json_line(out);
        return exit_success;
    }
    fmt::print("Restored {} events up to position {} from backup {}, as epoch {} of the log.\n"
               "What was derived from the log before is refused at the next start: run `immortal "
               "rebuild` on this data folder if it has a read model.\n",
               done->events, text_of(out, "lastPosition"), done->backup, done->log.epoch);
    return exit_success;
}

} // namespace immortal::app
