#include "app/log_tool.hpp"

#include "app/core.hpp"
#include "app/log_operations.hpp"
#include "app/operations.hpp"
#include "eventstore/embedded_store.hpp"
#include "eventstore/scavenge_history.hpp"

#include <fmt/format.h>

#include <optional>

namespace immortal::app {

namespace json = base::json;

base::result<json::object> on_log(const data_folder& folder, const settings& options,
                                  const json::object& request, const item_printer& print) {
    base::posix_file_system files;
    base::system_clock clock;
    base::system_random random;
    runtime::engine engine({.threads = 2});
    auto log = open_event_log(folder, options, files, clock, random, nullptr,
                              data_folder::when_absent::refuse);
    if (!log) {
        return base::fail(log.error());
    }
    const auto store = eventstore::make_embedded_store(**log);
    std::optional<eventstore::scavenge_history> history;
    if (records_scavenge(request)) {
        history.emplace(**log, random);
    }
    engine.start();
    auto answered = engine.run(
        answer_operation({log->get(), *store, nullptr, nullptr}, request, printing_sink(print)));
    engine.stop();
    history.reset();
    return answered;
}

base::result<json::object> on_remote(const settings& options, const json::object& request,
                                     const item_printer& print) {
    base::system_random random;
    auto store = open_remote(options, random);
    if (!store) {
        return base::fail(std::move(store.error()));
    }
    runtime::engine engine({.threads = 2});
    engine.start();
    auto answered = engine.run(
        answer_operation({nullptr, **store, nullptr, nullptr}, request, printing_sink(print)));
    engine.stop();
    return answered;
}

std::string text_of(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr     ? "-"
           : value->is_string() ? std::string(value->get_string())
                                : base::json_text(*value);
}

std::string body_of(const json::object& event) {
    return text_of(event, event.contains("data")       ? "data"
                          : event.contains("dataText") ? "dataText"
                                                       : "dataHex");
}

int refuse_all(const char* flag) {
    return report({base::errc::invalid_argument,
                   std::string(flag) + ": '$all' is no stream but the whole log; `immortal log "
                                       "dump` shows it."},
                  exit_usage);
}

void print_event(const json::object& event) {
    fmt::print("{:>6} {:>12} {} {}\n       {}\n", text_of(event, "revision"),
               text_of(event, "position"), text_of(event, "created"), text_of(event, "type"),
               body_of(event));
}

void print_json_line(const json::object& event) {
    fmt::print("{}\n", base::json_text(event));
}

} // namespace immortal::app
