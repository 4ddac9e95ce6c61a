// immortal backup, immortal backup list, immortal backup prune, immortal backup verify, immortal
// restore
#include "app/backup_place.hpp"
#include "app/core.hpp"
#include "app/data_folder.hpp"
#include "app/log_tool.hpp"
#include "app/process_mark.hpp"
#include "app/stop_request.hpp"
#include "app/tool.hpp"
#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "eventlog/backup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <poll.h>
#include <string_view>
#include <unistd.h>
#include <vector>

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
                     {"line", manifest.line},
                     {"created", base::iso_text(manifest.created)},
                     {"events", manifest.events},
                     {"end", manifest.end.value},
                     {"bytes", manifest.stored_bytes()}};
    out["lastPosition"] =
        manifest.events == 0 ? json::value(nullptr) : json::value(manifest.last_event.value);
    return out;
}

// What holds the folder of the backups, and how others wait for it.
eventlog::lease_options lease_of(const backup_options& options) {
    std::array<char, 256> host{};
    const bool is_named = gethostname(host.data(), host.size() - 1) == 0;
    bool told = options.json;
    return {.holder = fmt::format("process {} on {}", getpid(),
                                  is_named ? host.data() : "a host without a name"),
            .time = std::chrono::seconds(options.lease_seconds),
            .process = process_mark(),
            .is_gone = is_process_gone,
            .is_stopped = stop_request::made,
            .wait = [told](std::chrono::milliseconds time, std::string_view holder) mutable {
                if (!told) {
                    fmt::print(stderr,
                               "immortal: the folder is reserved for {}; waiting to see whether "
                               "that one is still at work\n",
                               holder);
                    told = true;
                }
                return !stop_request::made() &&
                       poll(nullptr, 0, static_cast<int>(time.count())) == 0;
            }};
}

// Of work under a lease, which has been given back: after a signal the process ends by it.
int report_end(const base::error& problem) {
    const int code = report(problem);
    if (problem.code == base::errc::cancelled) {
        stop_request::obey();
    }
    return code;
}

// What is known of where a log that begins a line left the backups.
std::string fork_sentence(const eventlog::new_line& begun) {
    if (!begun.fork) {
        return "Nothing of the backups that is still stored can be compared with the log, so "
               "where it went another way is not known (`immortal backup list` says what they "
               "lack)";
    }
    if (!begun.is_exact) {
        return fmt::format(
            "It agrees with the backups at least up to position {}; what they hold "
            "behind that cannot be read (`immortal backup verify` names it), or is too much to be "
            "compared here",
            begun.fork->value);
    }
    return fmt::format("It agrees with the backups up to position {} and went another way from "
                       "there, or does not reach as far",
                       begun.fork->value);
}

void print_made(const eventlog::backup_report& made) {
    fmt::print("Backup {}: {} events up to position {}, {} bytes; {} bytes were new.\n",
               text_of(object_of(made.manifest), "name"), made.manifest.events,
               made.manifest.end.value, made.manifest.stored_bytes(), made.bytes_new);
    if (made.begun) {
        fmt::print("This is the first backup of line {}: the log does not continue backup {}: its "
                   "data folder was rolled back, or is a copy. {}. The earlier backups stay and "
                   "can be restored by name; a restore without a name takes the newest of this "
                   "line.\n",
                   made.manifest.line, made.begun->left, fork_sentence(*made.begun));
    }
}

int make(const backup_options& options, const settings& loaded, eventlog::backup_target& target) {
    base::posix_file_system files;
    base::system_clock clock;
    const auto data = data_folder::absolute(loaded.server.data);
    if (auto here = check_embedded(loaded, data_folder::when_absent::refuse); !here) {
        return report(here.error());
    }
    progress_line line(!options.json);
    const stop_request stop;
    const auto made =
        eventlog::make_backup((data / "events").string(), files, clock, target,
                              {.progress = [&line](const auto& now) { return line.show(now); },
                               .lease = lease_of(options)});
    if (!made && made.error().code == base::errc::not_found) {
        return report({base::errc::not_found, "The backup of " + data.string() + " into " +
                                                  options.place.string() +
                                                  " was not made: " + made.error().message + "."});
    }
    if (!made) {
        return report_end(made.error());
    }
    if (options.json) {
        json::object out = object_of(made->manifest);
        out["bytesNew"] = made->bytes_new;
        out["piecesNew"] = made->blobs_new;
        out["beginsLine"] = made->begun.has_value();
        if (made->begun) {
            out["leftBackup"] = made->begun->left;
            out["forkPosition"] =
                made->begun->fork ? json::value(made->begun->fork->value) : json::value(nullptr);
            out["forkIsExact"] = made->begun->is_exact;
        }
        print_json_line(out);
    } else {
        print_made(*made);
    }
    return exit_success;
}

int list(const backup_options& options, eventlog::backup_target& target) {
    const auto entries = eventlog::list_backups(target);
    if (!entries) {
        return report(entries.error());
    }
    bool good = true;
    std::uint32_t line = 1;
    for (const eventlog::backup_entry& entry : *entries) {
        good = good && entry.good();
        if (options.json) {
            json::object out =
                entry.manifest ? object_of(*entry.manifest) : json::object{{"name", entry.name}};
            if (!entry.good()) {
                out["problem"] = entry.problem().message;
            }
            print_json_line(out);
            continue;
        }
        if (entry.place().line > line) {
            line = entry.place().line;
            fmt::print("Line {}, begun by a log that did not continue the backups above:\n", line);
        }
        if (entry.good()) {
            fmt::print("{}  {}  {} events, {} bytes\n", entry.name,
                       base::iso_text(entry.manifest->created), entry.manifest->events,
                       entry.manifest->stored_bytes());
        } else {
            fmt::print("{}  CANNOT BE RESTORED: {}\n", entry.name, entry.problem().message);
        }
    }
    if (entries->empty() && !options.json) {
        fmt::print("There are no backups in {}.\n", options.place.string());
    }
    return good ? exit_success : exit_failure;
}

int prune(const backup_options& options, eventlog::backup_target& target) {
    base::system_clock clock;
    const stop_request stop;
    const auto done =
        eventlog::prune_backups(target, clock,
                                {.keep = options.keep,
                                 .grace = std::chrono::hours(options.grace_hours),
                                 .dropped_line = static_cast<std::uint32_t>(options.dropped_line),
                                 .lease = lease_of(options)});
    if (!done && done.error().field == "line") {
        return report({base::errc::invalid_argument,
                       fmt::format("--drop-line {}: {}. Nothing was removed. `immortal backup list "
                                   "--from {}` shows the lines.",
                                   options.dropped_line, done.error().message,
                                   shell_word(options.place.string()))});
    }
    if (!done) {
        return report_end(done.error());
    }
    if (options.json) {
        print_json_line({{"backupsRemoved", done->backups_removed},
                         {"piecesRemoved", done->blobs_removed},
                         {"bytesRemoved", done->bytes_removed},
                         {"piecesWaiting", done->blobs_waiting},
                         {"bytesWaiting", done->bytes_waiting}});
        return exit_success;
    }
    fmt::print("{} backups and {} pieces were removed: {} bytes.\n", done->backups_removed,
               done->blobs_removed, done->bytes_removed);
    if (done->blobs_waiting > 0) {
        fmt::print("{} pieces ({} bytes) are needed no more; a prune removes them {} hours after "
                   "one first found them so.\n",
                   done->blobs_waiting, done->bytes_waiting, options.grace_hours);
    }
    return exit_success;
}

// "N" or "P%"; empty: neither.
std::optional<eventlog::backup_sample> sample_of(std::string_view text) {
    const bool is_percent = text.ends_with('%');
    text.remove_suffix(is_percent ? 1 : 0);
    std::uint64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || number == 0 ||
        (is_percent && number > 100)) {
        return std::nullopt;
    }
    return is_percent ? eventlog::backup_sample{.percent = number}
                      : eventlog::backup_sample{.pieces = number};
}

void print_checked(const backup_options& options, const eventlog::backup_check_report& found) {
    for (const std::string& finding : found.findings) {
        fmt::print("{}\n", finding);
    }
    fmt::print("{} backups, {} pieces, of which {} were read ({} bytes): {}.\n", found.backups,
               found.pieces, found.pieces_read, found.bytes_read,
               found.sound() ? "sound" : "DAMAGED");
    if (found.sound()) {
        return;
    }
    if (!options.backup.empty()) {
        fmt::print("Whether others are sound: `immortal backup verify --from {}`.\n",
                   shell_word(options.place.string()));
    } else if (found.restorable.empty()) {
        fmt::print("None of these backups can be restored.\n");
    } else {
        fmt::print("{} can be restored (`immortal restore --backup NAME`), the newest first:\n"
                   "  {}\n",
                   options.sample.empty() ? "These" : "By what was read, these",
                   fmt::join(found.restorable, "\n  "));
    }
    fmt::print("{}", remedy_for(options.place));
}

json::array array_of(const std::vector<std::string>& texts) {
    json::array out;
    for (const std::string& text : texts) {
        out.emplace_back(text);
    }
    return out;
}

// Whether there is a backup of this name. Errors: not_found, with the names that there are.
base::status check_backup_known(const std::string& name, const std::filesystem::path& place,
                                eventlog::backup_target& target) {
    constexpr std::size_t shown_max = 10;
    const auto entries = eventlog::list_backups(target);
    if (!entries) {
        return base::fail(entries.error());
    }
    std::vector<std::string> names;
    for (const eventlog::backup_entry& entry : *entries) {
        if (entry.name == name) {
            return {};
        }
        names.insert(names.begin(), entry.name);
    }
    const std::size_t all = names.size();
    names.resize(std::min(all, shown_max));
    const std::string there =
        all == 0 ? std::string("There is none there.")
                 : fmt::format("There {} {}{}, the newest first: {}.", all == 1 ? "is" : "are", all,
                               all > shown_max ? fmt::format(", of which {}", shown_max) : "",
                               fmt::join(names, ", "));
    return base::fail(base::errc::not_found,
                      fmt::format("--backup: there is no backup {} in {}. {} `immortal backup "
                                  "list --from {}` shows them.",
                                  name, place.string(), there, shell_word(place.string())));
}

int verify(const backup_options& options, eventlog::backup_target& target) {
    base::system_random random;
    progress_line line(!options.json);
    eventlog::backup_check_options wanted{
        .backup = options.backup, .progress = [&line](const auto& now) { return line.show(now); }};
    wanted.sample = sample_of(options.sample);
    const auto found = eventlog::check_backups(target, random, wanted);
    if (!found && found.error().code == base::errc::not_found && !options.backup.empty()) {
        const auto known = check_backup_known(options.backup, options.place, target);
        return report(known ? found.error() : known.error());
    }
    if (!found) {
        return report(found.error());
    }
    if (!options.json) {
        print_checked(options, *found);
        return found->sound() ? exit_success : exit_failure;
    }
    json::object out{{"sound", found->sound()},        {"backups", found->backups},
                     {"pieces", found->pieces},        {"piecesRead", found->pieces_read},
                     {"bytesRead", found->bytes_read}, {"findings", array_of(found->findings)}};
    if (!found->sound() && options.backup.empty()) {
        out["restorable"] = array_of(found->restorable);
    }
    print_json_line(out);
    return found->sound() ? exit_success : exit_failure;
}

std::string sentence_begin(std::string text) {
    if (text.starts_with('b')) {
        text.front() = 'B';
    }
    return text;
}

// What to do about a backup that turned out to be damaged: which other one to take.
base::error explain_damage(const base::error& problem, const restore_command_options& options,
                           eventlog::backup_target& target) {
    base::error out = problem;
    const auto entries = eventlog::list_backups(target);
    out.message = fmt::format(
        "{}. `immortal backup verify --from {}` lists those that are good{}",
        sentence_begin(problem.message), shell_word(options.place.string()),
        entries ? advice_after_damage(options.place, *entries, problem.field, options.at) : ".");
    return out;
}

base::result<eventlog::restore_report> restore_into(const std::filesystem::path& data,
                                                    const restore_command_options& options) {
    base::posix_file_system files;
    base::system_clock clock;
    const auto folder = data_folder::open(data, "immortal restore", data_folder::when_absent::make);
    if (!folder) {
        return base::fail(folder.error());
    }
    if (auto here = data_folder::check_embedded(data, data_folder::when_absent::make); !here) {
        return base::fail(here.error());
    }
    const auto from =
        eventlog::make_folder_target(files, data_folder::absolute(options.place).string());
    eventlog::restore_options wanted;
    wanted.backup = options.backup;
    if (options.at) {
        wanted.at = base::position{*options.at};
    }
    progress_line line(!options.json);
    wanted.progress = [&line](const auto& now) { return line.show(now); };
    auto done = eventlog::restore_backup(*from, (*folder)->events().string(), files, clock, wanted);
    if (!done && done.error().code == base::errc::already_exists && done.error().reason.empty()) {
        return base::fail(base::errc::already_exists,
                          "There is an event log in " + (*folder)->events().string() +
                              ": name another data folder, or move this one away first.");
    }
    if (!done && done.error().reason == "damaged_backup") {
        return base::fail(explain_damage(done.error(), options, *from));
    }
    return done;
}

} // namespace

int run_backup(const backup_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    if (!options.sample.empty() && !sample_of(options.sample)) {
        return report({base::errc::invalid_argument,
                       "--sample must be a number of pieces (20) or a share of them (5%), not \"" +
                           options.sample + "\"."},
                      exit_usage);
    }
    const bool makes = options.what == backup_options::action::make;
    if (const auto usable = makes ? check_apart(options.place, loaded->server.data)
                                  : check_backups_there(options.place);
        !usable) {
        return report(usable.error(), makes ? exit_usage : exit_failure);
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
    case backup_options::action::verify:
        return verify(options, *target);
    }
    return exit_failure;
}

int run_restore(const restore_command_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    // Before anything is made.
    if (const auto usable = check_backups_there(options.place); !usable) {
        return report(usable.error());
    }
    if (const auto usable = check_restored_apart(options.place, loaded->server.data); !usable) {
        return report(usable.error(), exit_usage);
    }
    if (!options.backup.empty()) {
        base::posix_file_system files;
        const auto target =
            eventlog::make_folder_target(files, data_folder::absolute(options.place).string());
        const auto known = check_backup_known(options.backup, options.place, *target);
        if (!known) {
            return report(known.error());
        }
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
    if (!done->last_event) {
        fmt::print("Restored an empty log from backup {}, as epoch {}: {}.\n", done->backup,
                   done->log.epoch,
                   options.at ? fmt::format("no append had ended at position {}", *options.at)
                              : "there was no event in it");
        return exit_success;
    }
    fmt::print("Restored {} events up to position {} from backup {}, as epoch {} of the log.\n"
               "What was derived from the log before is refused at the next start: run `immortal "
               "rebuild` on this data folder if it has a read model.\n",
               done->events, text_of(out, "lastPosition"), done->backup, done->log.epoch);
    return exit_success;
}

} // namespace immortal::app
