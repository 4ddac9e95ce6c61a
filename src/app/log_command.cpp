// immortal log dump, immortal log scavenge
#include "app/log_tool.hpp"
#include "app/tool.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace immortal::app {

namespace json = base::json;

namespace {

void print_logged_event(const json::object& event) {
    fmt::print("{:>12} {}/{} {} {}\n             {}\n", text_of(event, "position"),
               text_of(event, "stream"), text_of(event, "revision"), text_of(event, "created"),
               text_of(event, "type"), body_of(event));
}

void show_progress(const json::object& status) {
    fmt::print(stderr, "\r{} of {} segments read, {} done, {} events removed, {} bytes saved  ",
               text_of(status, "segmentsMeasured"), text_of(status, "segments"),
               text_of(status, "segmentsDone"), text_of(status, "eventsRemoved"),
               text_of(status, "bytesSaved"));
}

bool is_true(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

void print_gains(const json::object& status) {
    const json::value* gains = status.if_contains("gains");
    if (gains != nullptr && gains->is_array() && !gains->get_array().empty()) {
        fmt::print("{:>10} {:>14} {:>14} {:>14}\n", "segment", "events", "bytes now",
                   "bytes saved");
        for (const json::value& gain : gains->get_array()) {
            const json::object& one = gain.get_object();
            fmt::print("{:>10} {:>14} {:>14} {:>14}\n", text_of(one, "segment"),
                       text_of(one, "eventsRemoved"), text_of(one, "bytesBefore"),
                       text_of(one, "bytesSaved"));
        }
    }
    fmt::print("Dry run: {}. Of {} segments, {} would be rewritten: {} events removed, {} bytes "
               "saved. Nothing was changed.\n",
               text_of(status, "state"), text_of(status, "segments"),
               text_of(status, "segmentsRewritten"), text_of(status, "eventsRemoved"),
               text_of(status, "bytesSaved"));
    if (status.contains("problem")) {
        fmt::print(stderr, "immortal: {}\n", text_of(status, "problem"));
    }
}

void print_scavenge(const json::object& status) {
    if (text_of(status, "state") == "none") {
        fmt::print("No scavenge is running, and there was none since the event log was opened. "
                   "Those of before: `immortal stream read '$scavenges'`.\n");
        return;
    }
    if (is_true(status, "dryRun")) {
        print_gains(status);
        return;
    }
    fmt::print("Scavenge {}: {}. {} of {} segments looked at, {} rewritten, {} events removed, {} "
               "bytes saved.\n",
               text_of(status, "id"), text_of(status, "state"), text_of(status, "segmentsDone"),
               text_of(status, "segments"), text_of(status, "segmentsRewritten"),
               text_of(status, "eventsRemoved"), text_of(status, "bytesSaved"));
    if (status.contains("problem")) {
        fmt::print(stderr, "immortal: {}\n", text_of(status, "problem"));
    }
}

json::object request_of(const scavenge_command_options& options) {
    switch (options.what) {
    case scavenge_command_options::action::status:
        return {{"command", "log.scavenge.status"}};
    case scavenge_command_options::action::stop:
        return {{"command", "log.scavenge.stop"}};
    case scavenge_command_options::action::start:
        break;
    }
    return {{"command", "log.scavenge"},
            {"threads", options.threads},
            {"fromSegment", options.from_segment},
            {"bytesPerSecond", options.megabytes_per_second << 20u},
            {"dryRun", options.dry_run}};
}

// What is to be said when nothing was shown. A stream without events in the log is not there.
int report_nothing(const log_dump_options& options) {
    const std::string stream =
        options.stream.empty() ? "" : " of the stream '" + options.stream + "'";
    const std::string place =
        options.from ? fmt::format(" at position {} or behind it", *options.from) : "";
    const int code = options.stream.empty() || options.from ? exit_success : exit_failure;
    return options.json && code == exit_success
               ? code
               : report({base::errc::not_found, "The log holds no event" + stream + place + "."},
                        code);
}

} // namespace

int run_log_dump(const log_dump_options& options) {
    if (options.stream == "$all") {
        return refuse_all("--stream");
    }
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    json::object request{{"command", "log.dump"}, {"stream", options.stream}};
    if (options.from) {
        request["from"] = *options.from;
    }
    if (options.count) {
        request["count"] = *options.count;
    }
    const item_printer print = options.json ? print_json_line : print_logged_event;
    const auto done =
        ask_server_or(*loaded, "immortal log", request, print, [&](const data_folder& folder) {
            return on_log(folder, *loaded, request, print);
        });
    if (!done) {
        return report(done.error());
    }
    return text_of(*done, "events") == "0" ? report_nothing(options) : exit_success;
}

int run_log_scavenge(const scavenge_command_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    const json::object request = request_of(options);
    const bool show = !options.json && isatty(2) != 0;
    const item_printer print = show ? show_progress : [](const json::object&) {};
    const auto done =
        ask_server_or(*loaded, "immortal log", request, print, [&](const data_folder& folder) {
            return on_log(folder, *loaded, request, print);
        });
    if (show) {
        fmt::print(stderr, "\n");
    }
    if (!done) {
        return report(done.error());
    }
    if (options.json) {
        print_json_line(*done);
    } else {
        print_scavenge(*done);
    }
    return text_of(*done, "state") == "failed" ? exit_failure : exit_success;
}

} // namespace immortal::app
