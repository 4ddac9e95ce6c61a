// How the operator's commands reach a running server: one request, some lines, one end, over a
// private Unix socket. Who may open the socket (mode 0700 of its folder) may do everything.
//
//   request = JSON object with "command", one line
//   answer  = *( {"item": ...} line )  ( {"end": {...}} | {"error": {"code", "message"}} ) line
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace immortal::app {

using boost::asio::awaitable;

// Takes one item of an answer; false: nobody wants more.
using item_sink = std::function<awaitable<bool>(base::json::object item)>;

// Answers one request: items through the sink, then the end.
using control_handler = std::function<awaitable<base::result<base::json::object>>(
    base::json::object request, item_sink sink)>;

// Listens at `socket` (a leftover is removed: the caller holds the data folder's lock). At most 8
// requests at a time; more wait. Thread-safe.
class control_server {
public:
    control_server(boost::asio::any_io_executor executor, std::filesystem::path socket,
                   control_handler handler);
    ~control_server(); // after stop()
    control_server(const control_server&) = delete;
    control_server& operator=(const control_server&) = delete;

    [[nodiscard]] base::status start();
    awaitable<void> stop(); // cuts answers under way

private:
    struct state;
    std::shared_ptr<state> state_;
};

// Asks the server at `socket` and gives the end; `take_item` is called for each item. Blocks.
// Errors: unavailable (nobody listens, or it went away), and what the server answers.
[[nodiscard]] base::result<base::json::object>
ask_control(const std::filesystem::path& socket, const base::json::object& request,
            const std::function<void(const base::json::object&)>& take_item);

} // namespace immortal::app
