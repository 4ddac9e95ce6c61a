// How the operator's commands reach a running server: one request, some lines, one end, over a
// private Unix socket. Who may open the socket (mode 0700 of its folder) may do everything.
//
//   request = JSON object with "command", one line
//   answer  = *( ( {"item": ...} | {"working": true} ) line )
//             ( {"end": {...}} | {"error": {"code", "message"}} ) line
//
// "working" comes at least every second while the server works on the request, or while the request
// waits for others: a server that is silent for long is stopped, or stuck.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
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

// Listens at `socket` (a leftover is removed: the caller holds the data folder's lock). At most 64
// requests at a time, of which 8 are worked on; more wait. Thread-safe.
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

constexpr std::chrono::milliseconds control_silence_max{10'000};

// Asks the server at `socket` and gives the end; `take_item` is called for each item. Blocks.
// Errors: unavailable (nobody listens, or it went away), timeout (nothing came from it for
// `silence_max`), and what the server answers.
[[nodiscard]] base::result<base::json::object>
ask_control(const std::filesystem::path& socket, const base::json::object& request,
            const std::function<void(const base::json::object&)>& take_item,
            std::chrono::milliseconds silence_max = control_silence_max);

} // namespace immortal::app
