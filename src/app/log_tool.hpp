// What the commands on the event log have in common.
#pragma once

#include "app/data_folder.hpp"
#include "app/settings.hpp"
#include "app/tool.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

#include <string>

namespace immortal::app {

// Opens the event log alone, which must be there, and answers one request (operations.hpp) of it.
// Blocks.
[[nodiscard]] base::result<base::json::object> on_log(const data_folder& folder,
                                                      const settings& options,
                                                      const base::json::object& request,
                                                      const item_printer& print);

// Connects to the remote event store that `options` name and answers one request of it. Blocks.
[[nodiscard]] base::result<base::json::object>
on_remote(const settings& options, const base::json::object& request, const item_printer& print);

// A member as text for people; "-" if it is not there.
[[nodiscard]] std::string text_of(const base::json::object& object, const char* key);

// An event's data (event_object) as text for people.
[[nodiscard]] std::string body_of(const base::json::object& event);

// Says that $all, which `flag` was given, is no stream; gives the exit code.
[[nodiscard]] int refuse_all(const char* flag);

void print_event(const base::json::object& event);
void print_json_line(const base::json::object& object);

} // namespace immortal::app
