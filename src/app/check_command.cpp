// immortal check
#include "app/core.hpp"
#include "app/operations.hpp"
#include "app/tool.hpp"

#include <fmt/format.h>

namespace immortal::app {

namespace json = base::json;

namespace {

base::result<json::object> check_offline(const data_folder& folder, const settings& options,
                                         const json::object& request) {
    auto guardian = runtime::guardian::start({folder.lock_descriptor()});
    if (!guardian) {
        return base::fail(guardian.error());
    }
    // A managed Redis keeps nothing while the server is down; a given one is not asked either,
    // since its entries may be another process's.
    auto opened = core::open(folder, **guardian, options, backing::redis_use::unwanted,
                             data_folder::when_absent::refuse);
    if (!opened) {
        return base::fail(opened.error());
    }
    core& c = **opened;
    return c.engine.run(answer_operation({c.log.get(), *c.store, c.database.get(), nullptr},
                                         request, printing_sink([](const json::object&) {})));
}

std::string text_of(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr     ? ""
           : value->is_string() ? std::string(value->get_string())
                                : base::json_text(*value);
}

void print_report(const json::object& found) {
    if (const json::value* list = found.if_contains("list"); list != nullptr && list->is_array()) {
        for (const json::value& entry : list->get_array()) {
            const json::object& d = entry.as_object();
            const std::string field = text_of(d, "field");
            fmt::print("{} {}{}{}: expected {}, found {}\n", text_of(d, "where"), text_of(d, "id"),
                       field.empty() ? "" : " ", field,
                       text_of(d, "expected").empty() ? "nothing" : text_of(d, "expected"),
                       text_of(d, "actual").empty() ? "nothing" : text_of(d, "actual"));
        }
    }
    fmt::print(
        "{} players, {} cultivation sessions, {} cache entries and {} places on leaderboards "
        "compared up to position {}: {} differences.\n",
        text_of(found, "players"), text_of(found, "sessions"), text_of(found, "cacheEntries"),
        text_of(found, "boardEntries"), text_of(found, "asOf"), text_of(found, "differences"));
    if (const std::string parked = text_of(found, "parked"); parked != "0") {
        fmt::print("{} owners were left out: an event of theirs could not be projected.\n", parked);
    }
}

} // namespace

int run_check(const check_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    json::object request{{"command", "check"}};
    if (options.sample) {
        request["sample"] = *options.sample;
    }
    const auto found = ask_server_or(
        *loaded, "immortal check", request, [](const json::object&) {},
        [&](const data_folder& folder) { return check_offline(folder, *loaded, request); });
    if (!found) {
        return report(found.error());
    }
    if (options.json) {
        fmt::print("{}\n", base::json_text(*found));
    } else {
        print_report(*found);
    }
    return text_of(*found, "differences") == "0" && text_of(*found, "parked") == "0" ? exit_success
                                                                                     : exit_failure;
}

} // namespace immortal::app
