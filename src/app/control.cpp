#include "app/control.hpp"

#include "base/log.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <system_error>
#include <utility>

namespace immortal::app {

namespace asio = boost::asio;
namespace json = base::json;
using asio::local::stream_protocol;

namespace {

constexpr std::size_t request_size_max = 64 * 1024;
constexpr std::size_t requests_at_once_max = 8;
constexpr auto read_limit = std::chrono::seconds(10);
constexpr auto write_limit = std::chrono::seconds(60);
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

std::string error_line(const base::error& e) {
    return base::json_text(json::object{
        {"error", json::object{{"code", base::name_of(e.code)}, {"message", e.message}}}});
}

using shared_socket = std::shared_ptr<stream_protocol::socket>;

awaitable<base::result<std::string>> read_line(shared_socket from) {
    std::string buffer;
    const auto [failed, size] = co_await asio::async_read_until(
        *from, asio::dynamic_buffer(buffer, request_size_max), '\n', use_tuple);
    if (failed) {
        co_return base::fail(base::errc::cancelled, "No request came.");
    }
    co_return buffer.substr(0, size - 1);
}

awaitable<base::result<bool>> write_line(shared_socket to, std::string line) {
    line += '\n';
    const auto [failed, size] = co_await asio::async_write(*to, asio::buffer(line), use_tuple);
    if (failed) {
        co_return base::fail(base::errc::cancelled, "Nobody listens any more.");
    }
    co_return true;
}

awaitable<bool> send_item(shared_socket to, json::object item) {
    auto sent = co_await runtime::with_deadline(
        write_line(to, base::json_text(json::object{{"item", std::move(item)}})), write_limit);
    co_return sent.has_value();
}

} // namespace

struct control_server::state {
    state(asio::any_io_executor e, std::filesystem::path s, control_handler h)
        : executor(e), path(std::move(s)), handler(std::move(h)), acceptor(asio::make_strand(e)),
          tasks(e, "control") {}

    awaitable<void> accept_all();
    awaitable<void> answer(shared_socket from);

    asio::any_io_executor executor;
    std::filesystem::path path;
    control_handler handler;
    stream_protocol::acceptor acceptor; // used by accept_all and before it begins
    runtime::task_group tasks;
};

awaitable<void> control_server::state::answer(shared_socket from) {
    auto line = co_await runtime::with_deadline(read_line(from), read_limit);
    if (!line) {
        co_return;
    }
    auto request = base::parse_json(*line);
    base::result<json::object> end =
        base::fail(base::errc::invalid_argument, "The request is not a JSON object.");
    if (request && request->is_object()) {
        const item_sink sink = [from](json::object item) {
            return send_item(from, std::move(item));
        };
        end = co_await handler(std::move(request->as_object()), sink);
    }
    const std::string last =
        end ? base::json_text(json::object{{"end", std::move(*end)}}) : error_line(end.error());
    (void)co_await runtime::with_deadline(write_line(from, last), write_limit);
}

awaitable<void> control_server::state::accept_all() {
    for (;;) {
        while (tasks.running() > requests_at_once_max) {
            (void)co_await runtime::wait_for(std::chrono::milliseconds(20));
        }
        auto socket = std::make_shared<stream_protocol::socket>(executor);
        const auto [failed] = co_await acceptor.async_accept(*socket, use_tuple);
        if (failed == asio::error::operation_aborted) {
            co_return;
        }
        if (failed) {
            (void)co_await runtime::wait_for(std::chrono::milliseconds(100));
            continue;
        }
        tasks.spawn(answer(std::move(socket)), "answer");
    }
}

control_server::control_server(asio::any_io_executor executor, std::filesystem::path socket,
                               control_handler handler)
    : state_(std::make_shared<state>(std::move(executor), std::move(socket), std::move(handler))) {}

control_server::~control_server() = default;

base::status control_server::start() {
    std::error_code ignored;
    std::filesystem::remove(state_->path, ignored);
    try {
        state_->acceptor.open();
        state_->acceptor.bind(stream_protocol::endpoint(state_->path.string()));
        state_->acceptor.listen();
    } catch (const boost::system::system_error& e) {
        return base::fail(base::errc::unavailable, "The socket " + state_->path.string() +
                                                       " cannot be made: " + e.code().message() +
                                                       ".");
    }
    state_->tasks.spawn(state_->accept_all(), "accept");
    return {};
}

awaitable<void> control_server::stop() {
    (void)co_await state_->tasks.stop(std::chrono::seconds(10));
    std::error_code ignored;
    std::filesystem::remove(state_->path, ignored);
}

base::result<json::object> ask_control(const std::filesystem::path& socket,
                                       const json::object& request,
                                       const std::function<void(const json::object&)>& take_item) {
    stream_protocol::iostream stream{stream_protocol::endpoint(socket.string())};
    stream << base::json_text(request) << '\n' << std::flush;
    for (std::string line; std::getline(stream, line);) {
        const auto parsed = base::parse_json(line, 64);
        if (!parsed || !parsed->is_object()) {
            break;
        }
        const json::object& object = parsed->get_object();
        if (const auto* item = object.if_contains("item"); item != nullptr && item->is_object()) {
            take_item(item->get_object());
        } else if (const auto* end = object.if_contains("end");
                   end != nullptr && end->is_object()) {
            return end->get_object();
        } else if (const auto* e = object.if_contains("error"); e != nullptr && e->is_object()) {
            const json::value* message = e->get_object().if_contains("message");
            return base::fail(base::errc::unavailable, message != nullptr && message->is_string()
                                                           ? std::string(message->get_string())
                                                           : "The server refused.");
        }
    }
    return base::fail(base::errc::unavailable,
                      "The server that owns the data folder does not answer. It may be starting or "
                      "stopping: try again.");
}

} // namespace immortal::app
