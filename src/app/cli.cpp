#include "app/cli.hpp"

#include "app/simulate_command.hpp"
#include "app/tool.hpp"
#include "app/usage.hpp"
#include "app/version.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <array>
#include <functional>
#include <memory>

namespace immortal::app {

namespace {

// A flag that is another way to write a key of the configuration.
struct key_flag {
    const char* flag;
    const char* key;
    const char* help;
};

constexpr key_flag data_flag{"--data", "server.data",
                             "Folder of everything the server keeps (default: ./data)"};
constexpr key_flag store_flags[] = {
    {"--event-store", "event_store.uri",
     "Event store to use instead of the embedded one (kurrentdb:// or esdb://)"},
    {"--postgres", "postgres.uri", "PostgreSQL to use instead of a managed one (libpq URI)"},
};
constexpr key_flag esdb_flags[] = {
    {"--esdb-port", "esdb.port",
     "Port of the EventStoreDB protocol, 0 for any free one (default: 2113)"},
    {"--esdb-address", "esdb.address",
     "Numeric address of the EventStoreDB protocol (default: both loopback addresses)"},
};
constexpr key_flag serve_flags[] = {
    {"--http-port", "http.port", "Port of the HTTP interface, 0 for any free one (default: 8080)"},
    {"--http-address", "http.address",
     "Numeric address to listen on (default: both loopback addresses)"},
    {"--redis", "redis.uri", "Redis to use instead of a managed one (redis:// or unix://)"},
    {"--threads", "server.threads", "Threads that serve requests (default: one a processor)"},
    {"--time-scale", "game.time_scale", "Seconds of game time in one second (default: 1)"},
    {"--log-level", "log.level", "debug, info, warning, error or off (default: info)"},
    {"--log-format", "log.format", "text or json (default: text)"},
};

// Writes the flag into `to` when it is given. `to` outlives the parse.
void add_key_flag(CLI::App& app, configuration& to, const key_flag& one) {
    app.add_option_function<std::string>(
           one.flag,
           [&to, one](const std::string& value) { to.flags.push_back({one.flag, one.key, value}); },
           one.help)
        ->type_name("VALUE");
}

void add_configuration(CLI::App& app, configuration& to) {
    add_name(app, "--config", "FILE", "Configuration file (see config/immortal.toml)",
             [&to](const std::string& file) { to.file = file; });
    add_key_flag(app, to, data_flag);
}

void add_json(CLI::App& app, bool& to) {
    app.add_flag("--json", to, "Machine-readable output");
}

// One parse: the structs it fills, and what to run then.
struct parse {
    serve_options serve;
    serve_options store;
    store_password_options store_password;
    check_options check;
    rebuild_options rebuild;
    stream_read_options stream;
    log_options log;
    log_dump_options dump;
    scavenge_command_options scavenge;
    backup_options backup;
    restore_command_options restore;
    simulate_command_options simulate;
    bool version_json = false;
    std::function<int()> chosen;
};

void add_server_commands(CLI::App& app, parse& into) {
    CLI::App* serve = app.add_subcommand("serve", "Runs the server");
    add_configuration(*serve, into.serve.config);
    for (const key_flag& one : serve_flags) {
        add_key_flag(*serve, into.serve.config, one);
    }
    for (const key_flag& one : store_flags) {
        add_key_flag(*serve, into.serve.config, one);
    }
    for (const key_flag& one : esdb_flags) {
        add_key_flag(*serve, into.serve.config, one);
    }
    add_json(*serve, into.serve.json);
    serve->callback([&into] { into.chosen = [&into] { return run_serve(into.serve); }; });

    CLI::App* simulate = app.add_subcommand("simulate", "Plays through HTTP and measures");
    add_configuration(*simulate, into.simulate.config);
    auto& play = into.simulate.play;
    add_name(*simulate, "--url", "URL", play.url, "The server")->default_str(play.url);
    add_number(*simulate, "--players", play.players, {1, simulate_players_max},
               "Characters; fewer than 200 are judged by 5 commands a second each, not by 1,000");
    add_number(*simulate, "--seconds", play.seconds, {1, 1'000'000}, "Measured time");
    add_number(*simulate, "--connections", play.connections, {0, simulate_players_max},
               "Keep-alive connections; 0: one a player, at most 32");
    add_number(*simulate, "--queries-per-command", play.queries_per_command, {0, 1'000'000},
               "Reads for each write");
    add_number(*simulate, "--seed", play.seed, {0, UINT64_MAX},
               "Seed of the players' choices; 0: a new one");
    add_json(*simulate, play.json);
    simulate->callback(
        [&into] { into.chosen = [&into] { return run_simulate_command(into.simulate); }; });
}

void add_store_commands(CLI::App& app, parse& into) {
    CLI::App* store = app.add_subcommand("store", "The event store without the game");
    store->require_subcommand(1);
    CLI::App* serve =
        store->add_subcommand("serve", "Serves the EventStoreDB protocol over the event log alone");
    add_configuration(*serve, into.store.config);
    for (const key_flag& one : esdb_flags) {
        add_key_flag(*serve, into.store.config, one);
    }
    add_json(*serve, into.store.json);
    serve->callback([&into] { into.chosen = [&into] { return run_store_serve(into.store); }; });

    auto& to = into.store_password;
    CLI::App* password = store->add_subcommand(
        "password", "Gives a user of the event store a new password, and shows it; the server must "
                    "not run");
    add_configuration(*password, to.config);
    add_name(*password, "--login", "NAME", to.login, "The user")->default_str(to.login);
    password->add_flag("--make", to.make, "Makes the user, as an administrator, if there is none");
    add_json(*password, to.json);
    password->callback(
        [&into] { into.chosen = [&into] { return run_store_password(into.store_password); }; });
}

void add_data_commands(CLI::App& app, parse& into) {
    CLI::App* check = app.add_subcommand(
        "check", "Compares log, tables and cache; exit code 1 if they differ. Asks the server when "
                 "one runs on the data");
    add_configuration(*check, into.check.config);
    add_number(*check, "--sample", into.check.sample, any_count,
               "Compare about so many players only (default: all)");
    add_json(*check, into.check.json);
    check->callback([&into] { into.chosen = [&into] { return run_check(into.check); }; });

    CLI::App* rebuild = app.add_subcommand(
        "rebuild", "Makes the derived tables anew from the log; the server must not run");
    add_configuration(*rebuild, into.rebuild.config);
    rebuild->add_flag("--other-log", into.rebuild.other_log,
                      "Also when the tables were made from another event log: they are replaced");
    add_json(*rebuild, into.rebuild.json);
    rebuild->callback([&into] { into.chosen = [&into] { return run_rebuild(into.rebuild); }; });
    for (const key_flag& one : store_flags) {
        add_key_flag(*check, into.check.config, one);
        add_key_flag(*rebuild, into.rebuild.config, one);
    }
}

void add_dump(CLI::App& log, parse& into) {
    CLI::App* dump = log.add_subcommand("dump", "Shows events in the order of the log");
    add_number(*dump, "--from", into.dump.from, any_place, "Begin at this position (default: 0)");
    add_number(*dump, "--count", into.dump.count, any_count,
               "At most so many events (default: all)");
    add_name(*dump, "--stream", "NAME", into.dump.stream, "Of this stream only (default: all)");
    add_configuration(*dump, into.dump.config);
    add_json(*dump, into.dump.json);
    dump->callback([&into] { into.chosen = [&into] { return run_log_dump(into.dump); }; });
}

// Not CLI11's own excludes(), which fills the help with them.
void refuse_together(const CLI::Option& one, const CLI::Option& other) {
    if (one.count() > 0 && other.count() > 0) {
        throw CLI::ExcludesError(one.get_name(), other.get_name());
    }
}

void add_scavenge(CLI::App& log, parse& into) {
    using action = scavenge_command_options::action;
    auto& to = into.scavenge;
    CLI::App* scavenge = log.add_subcommand(
        "scavenge", "Gives back the space of events that metadata or a deletion hides; in the "
                    "server when one runs, where it goes on if this command is ended");
    const std::array only_to_start{
        add_number(*scavenge, "--threads", to.threads, {1, 8}, "Segments at the same time"),
        add_number(*scavenge, "--from-segment", to.from_segment, {0, UINT32_MAX},
                   "Leave earlier segments as they are"),
        add_number(*scavenge, "--megabytes-per-second", to.megabytes_per_second, {0, 1'000'000},
                   "Read no faster than this; 0: as fast as it goes"),
        scavenge->add_flag("--dry-run", to.dry_run,
                           "Only say what would be gained, in each segment and in sum")};
    auto* status = scavenge->add_flag_callback(
        "--status", [&to] { to.what = action::status; }, "Only say how far the last one is");
    auto* stop = scavenge->add_flag_callback(
        "--stop", [&to] { to.what = action::stop; }, "Ask the one that runs to stop");
    add_configuration(*scavenge, to.config);
    add_json(*scavenge, to.json);
    scavenge->callback([&into, only_to_start, status, stop] {
        refuse_together(*status, *stop);
        for (const CLI::Option* each : only_to_start) {
            refuse_together(*each, *status);
            refuse_together(*each, *stop);
        }
        into.chosen = [&into] { return run_log_scavenge(into.scavenge); };
    });
}

void add_log_commands(CLI::App& app, parse& into) {
    CLI::App* stream = app.add_subcommand("stream", "Event streams");
    stream->require_subcommand(1);
    CLI::App* read = stream->add_subcommand("read", "Shows the events of a stream");
    add_name(*read, "NAME", "", into.stream.stream, "The stream, for example player-<id>")
        ->required();
    add_number(*read, "--from", into.stream.from, any_place,
               "First revision (default: the end it starts at)");
    add_number(*read, "--count", into.stream.count, any_count,
               "At most so many events (default: all)");
    read->add_flag("--backwards", into.stream.backwards, "Newest first");
    add_configuration(*read, into.stream.config);
    add_key_flag(*read, into.stream.config, store_flags[0]);
    add_json(*read, into.stream.json);
    read->callback([&into] { into.chosen = [&into] { return run_stream_read(into.stream); }; });

    CLI::App* log = app.add_subcommand("log", "The event log");
    log->require_subcommand(1);
    CLI::App* info = log->add_subcommand("info", "What the log is and how far it goes");
    CLI::App* verify = log->add_subcommand(
        "verify", "Reads the whole log and checks every byte; beside a running server up to the "
                  "head at its beginning");
    for (CLI::App* one : {info, verify}) {
        add_configuration(*one, into.log.config);
        add_json(*one, into.log.json);
    }
    info->callback([&into] { into.chosen = [&into] { return run_log_info(into.log); }; });
    verify->callback([&into] { into.chosen = [&into] { return run_log_verify(into.log); }; });
    add_dump(*log, into);
    add_scavenge(*log, into);
}

void add_backup_commands(CLI::App& app, parse& into) {
    using action = backup_options::action;
    auto& to = into.backup;
    CLI::App* backup = app.add_subcommand(
        "backup", "Stores what is new in the event log; the server may run meanwhile");
    backup->require_subcommand(0, 1);
    auto* place = add_name(*backup, "--to", "DIR", to.place,
                           "Folder of the backups, outside of the data folder; made if need be");
    add_configuration(*backup, to.config);
    add_json(*backup, to.json);
    CLI::App* list = backup->add_subcommand("list", "Shows the backups in a folder");
    CLI::App* prune =
        backup->add_subcommand("prune", "Removes old backups and the pieces only they need");
    CLI::App* verify = backup->add_subcommand(
        "verify", "Reads backups and checks every piece and the chain, without restoring");
    for (CLI::App* one : {list, prune, verify}) {
        add_name(*one, "--from", "DIR", to.place, "Folder of the backups")->required();
        add_json(*one, to.json);
    }
    for (CLI::App* one : {backup, prune}) {
        add_number(*one, "--lease", to.lease_seconds, {1, 86'400},
                   "Seconds for which the folder stays reserved when this command is killed");
    }
    add_number(*prune, "--keep", to.keep, {1, 1'000'000}, "Keep so many of the newest of each line")
        ->default_str("")
        ->required();
    add_number(*prune, "--grace-hours", to.grace_hours, {0, 24 * 366},
               "Remove a piece when it was found not to be needed so long ago");
    add_number(*prune, "--drop-line", to.dropped_line, {1, UINT32_MAX},
               "Remove all backups of this line; `backup list` shows the lines")
        ->default_str("");
    add_name(*verify, "--backup", "NAME", to.backup,
             "Only the one of this name, as `backup list` shows it (default: all)");
    add_name(*verify, "--sample", "N|P%", to.sample,
             "Read only so many pieces, or so many percent, drawn at random (default: all)");
    verify->callback([&to] { to.what = action::verify; });
    list->callback([&to] { to.what = action::list; });
    prune->callback([&to] { to.what = action::prune; });
    backup->callback([&into, &to, place] {
        if (to.what == action::make && place->count() == 0) {
            throw CLI::RequiredError("--to");
        }
        into.chosen = [&into] { return run_backup(into.backup); };
    });

    CLI::App* restore =
        app.add_subcommand("restore", "Makes the event log of a data folder anew from a backup");
    add_name(*restore, "--from", "DIR", into.restore.place, "Folder of the backups")->required();
    add_name(*restore, "--backup", "NAME", into.restore.backup,
             "The backup, as `backup list` shows it (default: the newest)");
    add_number(*restore, "--at", into.restore.at, any_place,
               "Keep the appends that ended at this position or before (default: all)");
    add_configuration(*restore, into.restore.config);
    add_json(*restore, into.restore.json);
    restore->callback([&into] { into.chosen = [&into] { return run_restore(into.restore); }; });
}

void add_version(CLI::App& app, parse& into) {
    CLI::App* version = app.add_subcommand("version", "Version and build");
    add_json(*version, into.version_json);
    version->callback(
        [&into] { into.chosen = [&into] { return run_version(into.version_json); }; });
}

} // namespace

int run_command_line(int count, char** arguments) {
    CLI::App app("Immortality: the data platform of a cultivation game. Every key of the "
                 "configuration can also be set as IMMORTAL_SECTION_KEY in the environment.",
                 "immortal");
    app.require_subcommand(1);
    app.set_version_flag("--version", "immortal " + std::string(version_text()));
    parse into;
    add_server_commands(app, into);
    add_store_commands(app, into);
    add_data_commands(app, into);
    add_log_commands(app, into);
    add_backup_commands(app, into);
    add_version(app, into);
    try {
        app.parse(count, arguments);
    } catch (const CLI::Success& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& problem) {
        return report({base::errc::invalid_argument, usage_sentence(app, problem)}, exit_usage);
    }
    return into.chosen();
}

} // namespace immortal::app
