// immortal stream read, immortal log info, immortal log verify
#include "app/core.hpp"
#include "app/log_tool.hpp"
#include "app/tool.hpp"
#include "eventlog/verify.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace immortal::app {

namespace json = base::json;

namespace {

void print_findings(const eventlog::verify_report& found) {
    for (const auto& finding : found.findings) {
        fmt::print("{} at byte {}: {}\n", finding.file, finding.offset, finding.what);
    }
    if (found.findings_left_out > 0) {
        fmt::print("and {} more places\n", found.findings_left_out);
    }
    fmt::print("{} segments, {} appends, {} events, {} bytes: {}.\n", found.segments, found.frames,
               found.events, found.bytes, found.sound() ? "sound" : "DAMAGED");
    fmt::print(
        "{}It was checked up to position {}, its durable head when this began; nothing behind "
        "that was acknowledged then.\n",
        found.open_elsewhere ? "The log is open in another process. " : "", found.end.value);
}

json::object findings_object(const eventlog::verify_report& found) {
    json::array findings;
    for (const auto& finding : found.findings) {
        findings.push_back(json::object{{"severity", "damage"},
                                        {"file", finding.file},
                                        {"offset", finding.offset},
                                        {"what", finding.what}});
    }
    return {{"sound", found.sound()},
            {"logId", found.log.id.text()},
            {"epoch", found.log.epoch},
            {"segments", found.segments},
            {"appends", found.frames},
            {"events", found.events},
            {"bytes", found.bytes},
            {"end", found.end.value},
            {"openElsewhere", found.open_elsewhere},
            {"readings", found.readings},
            {"findingsLeftOut", found.findings_left_out},
            {"findings", std::move(findings)}};
}

} // namespace

int run_stream_read(const stream_read_options& options) {
    if (options.stream == "$all") {
        return refuse_all("NAME");
    }
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    json::object request{
        {"command", "stream.read"}, {"stream", options.stream}, {"backwards", options.backwards}};
    if (options.from) {
        request["from"] = *options.from;
    }
    if (options.count) {
        request["count"] = *options.count;
    }
    const item_printer print = options.json ? print_json_line : print_event;
    const auto done =
        ask_server_or(*loaded, "immortal stream", request, print, [&](const data_folder& folder) {
            return loaded->event_store.uri.empty() ? on_log(folder, *loaded, request, print)
                                                   : on_remote(*loaded, request, print);
        });
    if (!done) {
        return report(done.error());
    }
    if (text_of(*done, "events") == "0" && options.from && !options.json) {
        fmt::print(stderr,
                   "immortal: The stream '{}' has no event to show from revision {} on; its last "
                   "one has {}.\n",
                   options.stream, *options.from, text_of(*done, "lastRevision"));
    }
    return exit_success;
}

int run_log_info(const log_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    const json::object request{{"command", "log.info"}};
    const auto found = ask_server_or(
        *loaded, "immortal log", request, [](const json::object&) {},
        [&](const data_folder& folder) {
            return on_log(folder, *loaded, request, [](const json::object&) {});
        });
    if (!found) {
        return report(found.error());
    }
    if (options.json) {
        print_json_line(*found);
        return exit_success;
    }
    for (const auto& entry : *found) {
        fmt::print("{:<14} {}\n", std::string_view(entry.key()),
                   text_of(*found, std::string(entry.key()).c_str()));
    }
    return exit_success;
}

int run_log_verify(const log_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    {
        // Only whether it is one: a server may run, or start meanwhile.
        const auto folder = data_folder::open(loaded->server.data, "immortal log verify",
                                              data_folder::when_absent::refuse);
        if (!folder && folder.error().reason != "in_use") {
            return report(folder.error());
        }
    }
    if (auto here = check_embedded(*loaded, data_folder::when_absent::refuse); !here) {
        return report(here.error());
    }
    base::posix_file_system files;
    const auto events = data_folder::absolute(loaded->server.data) / "events";
    const auto found = eventlog::verify(events.string(), files);
    if (!found) {
        return report(found.error());
    }
    if (options.json) {
        print_json_line(findings_object(*found));
    } else {
        print_findings(*found);
    }
    return found->sound() ? exit_success : exit_failure;
}

} // namespace immortal::app
