#include "app/control.hpp"

#include "base/log.hpp"
#include "runtime/async_event.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <atomic>
#include <system_error>
#include <utility>

namespace immortal::app {

namespace asio = boost::asio;
namespace json = base::json;
using asio::local::stream_protocol;

namespace {

constexpr std::size_t request_size_max = 64 * 1024;
constexpr std::size_t requests_max = 64;
constexpr std::size_t requests_at_once_max = 8;
constexpr auto telling_interval = std::chrono::milliseconds(1'000);
constexpr auto read_limit = std::chrono::seconds(10);
constexpr auto write_limit = std::chrono::seconds(60);
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

std::string error_line(const base::error& e) {
    return base::json_text(json::object{
        {"error", json::object{{"code", base::name_of(e.code)}, {"message", e.message}}}});
}

using shared_socket = std::shared_ptr<stream_protocol::socket>;

// Where an answer goes. Lines of several coroutines do not mix: who has `busy` writes.
struct answer_channel {
    explicit answer_channel(shared_socket s) : socket(std::move(s)) {}

    shared_socket socket;
    std::atomic<bool> busy = false;
    std::atomic<bool> ended = false; // the last line is on its way
    runtime::async_event changed;    // of both
};
using shared_channel = std::shared_ptr<answer_channel>;

awaitable<base::result<std::string>> read_line(shared_socket from) {
    std::string buffer;
    const auto [failed, size] = co_await asio::async_read_until(
        *from, asio::dynamic_buffer(buffer, request_size_max), '\n', use_tuple);
    if (failed) {
        co_return base::fail(base::errc::cancelled, "No request came.");
    }
    co_return buffer.substr(0, size - 1);
}

std::unexpected<base::error> nobody_listens() {
    return base::fail(base::errc::cancelled, "Nobody listens any more.");
}

// Precondition: the caller has `busy`, which is given back.
awaitable<base::result<bool>> write_now(shared_channel to, std::string line) {
    line += '\n';
    const auto [failed, size] =
        co_await asio::async_write(*to->socket, asio::buffer(line), use_tuple);
    to->busy = false;
    to->changed.notify_all();
    if (failed) {
        co_return nobody_listens();
    }
    co_return true;
}

awaitable<base::result<bool>> write_line(shared_channel to, std::string line) {
    const auto until = std::chrono::steady_clock::now() + write_limit;
    for (;;) {
        const auto seen = to->changed.version();
        const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
        if (cancelled != asio::cancellation_type::none ||
            std::chrono::steady_clock::now() >= until) {
            co_return nobody_listens();
        }
        if (!to->busy.exchange(true)) {
            co_return co_await write_now(std::move(to), std::move(line));
        }
        (void)co_await to->changed.wait(seen, telling_interval);
    }
}

// Says that the server is at work, until the last line is on its way.
awaitable<void> tell_working(shared_channel to) {
    auto next = std::chrono::steady_clock::now() + telling_interval;
    for (;;) {
        const auto seen = to->changed.version();
        if (to->ended) {
            co_return;
        }
        const auto now = std::chrono::steady_clock::now();
        if (now >= next) {
            next = now + telling_interval;
            // Who writes at this moment says enough.
            if (!to->busy.exchange(true) &&
                !co_await runtime::with_deadline(
                    write_now(to, base::json_text(json::object{{"working", true}})), write_limit)) {
                co_return;
            }
            continue;
        }
        (void)co_await to->changed.wait(seen,
                                        std::chrono::ceil<std::chrono::milliseconds>(next - now));
        if ((co_await asio::this_coro::cancellation_state).cancelled() !=
            asio::cancellation_type::none) {
            co_return;
        }
    }
}

awaitable<bool> send_item(shared_channel to, json::object item) {
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
    awaitable<base::result<json::object>> work_on(json::object request, shared_channel to);

    asio::any_io_executor executor;
    std::filesystem::path path;
    control_handler handler;
    stream_protocol::acceptor acceptor;     // used by accept_all and before it begins
    std::atomic<std::size_t> answering = 0; // requests that were read
    std::atomic<std::size_t> working = 0;   // of them, those that are worked on
    runtime::task_group tasks;
};

namespace {

struct counted {
    explicit counted(std::atomic<std::size_t>& which) : number(which) {}
    ~counted() { --number; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    std::atomic<std::size_t>& number;
};

} // namespace

awaitable<base::result<json::object>> control_server::state::work_on(json::object request,
                                                                     shared_channel to) {
    while (++working > requests_at_once_max) {
        --working;
        if (!co_await runtime::wait_for(std::chrono::milliseconds(20))) {
            co_return base::fail(base::errc::cancelled, "The server is stopping.");
        }
    }
    const counted place(working);
    const item_sink sink = [to](json::object item) { return send_item(to, std::move(item)); };
    co_return co_await handler(std::move(request), sink);
}

awaitable<void> control_server::state::answer(shared_socket from) {
    ++answering;
    const counted place(answering);
    auto line = co_await runtime::with_deadline(read_line(from), read_limit);
    if (!line) {
        co_return;
    }
    auto request = base::parse_json(*line);
    base::result<json::object> end =
        base::fail(base::errc::invalid_argument, "The request is not a JSON object.");
    const auto to = std::make_shared<answer_channel>(std::move(from));
    if (request && request->is_object()) {
        tasks.spawn(tell_working(to), "working");
        end = co_await work_on(std::move(request->as_object()), to);
    }
    to->ended = true;
    to->changed.notify_all();
    const std::string last =
        end ? base::json_text(json::object{{"end", std::move(*end)}}) : error_line(end.error());
    (void)co_await runtime::with_deadline(write_line(to, last), write_limit);
}

awaitable<void> control_server::state::accept_all() {
    for (;;) {
        while (answering >= requests_max) {
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
                                       const std::function<void(const json::object&)>& take_item,
                                       std::chrono::milliseconds silence_max) {
    stream_protocol::iostream stream;
    stream.expires_after(silence_max);
    stream.connect(stream_protocol::endpoint(socket.string()));
    stream << base::json_text(request) << '\n' << std::flush;
    for (std::string line; std::getline(stream, line); stream.expires_after(silence_max)) {
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
    if (stream.error() == asio::error::timed_out) {
        return base::fail(
            base::errc::timeout,
            "The server that owns the data folder runs, and does not answer: nothing came from it "
            "for " +
                std::to_string(std::chrono::ceil<std::chrono::seconds>(silence_max).count()) +
                " s. It may be stopped (SIGSTOP, a debugger) or stuck. The first number in the "
                "file 'lock' of the folder is its process: let it go on (kill -CONT) or end it, "
                "then try again.");
    }
    return base::fail(base::errc::unavailable,
                      "The server that owns the data folder does not answer. It may be starting or "
                      "stopping: try again.");
}

} // namespace immortal::app
