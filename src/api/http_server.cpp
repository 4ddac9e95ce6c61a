#include "api/http_server.hpp"

#include "api/http_session.hpp"
#include "api/response_writer.hpp"
#include "base/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace immortal::api {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::errc;
using base::fail;
using base::status;
using std::chrono::steady_clock;

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);
constexpr auto accept_pause = std::chrono::milliseconds(50); // when descriptors have run out
constexpr int port_attempts = 5; // to find a port that is free on every address
constexpr auto drop_patience = std::chrono::seconds(5); // for handlers to notice

milliseconds sweep_interval(const http_settings& s) {
    const auto shortest =
        std::min({s.read_timeout, s.request_timeout, s.idle_timeout, s.write_timeout});
    return std::clamp(shortest / 8, milliseconds(5), milliseconds(250));
}

} // namespace

struct http_server::state : std::enable_shared_from_this<http_server::state> {
    state(asio::any_io_executor on, http_settings settings, http_handler handler,
          base::metrics& metrics)
        : executor(on), control(asio::make_strand(on)), sweep_timer(control),
          context(std::make_shared<session_context>(std::move(settings), std::move(handler),
                                                    metrics)) {}

    asio::any_io_executor executor;
    asio::any_io_executor control; // guards acceptors and timer
    std::vector<tcp::acceptor> acceptors;
    asio::steady_timer sweep_timer;
    std::shared_ptr<session_context> context;
    std::uint16_t port = 0;
    bool stopping = false; // accepts no more
    bool stopped = false;  // nothing is left to sweep

    status bind(const std::string& address);
    status bind_all();
    status bind_each();
    awaitable<void> accept_loop(std::size_t index);
    awaitable<void> sweep_loop();
    void welcome(tcp::socket socket);
    static awaitable<void> serve(std::shared_ptr<state> self,
                                 std::shared_ptr<http_session> session);
    void close_acceptors();
    awaitable<bool> wait_until_empty(milliseconds limit);
};

status http_server::state::bind(const std::string& address) {
    boost::system::error_code ec;
    const auto parsed = asio::ip::make_address(address, ec);
    if (ec) {
        return fail(errc::invalid_argument, "not a numeric address: " + address);
    }
    tcp::acceptor acceptor(control);
    const tcp::endpoint endpoint(parsed, port);
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) {
        acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
        if (parsed.is_v6()) {
            acceptor.set_option(asio::ip::v6_only(true), ec);
        }
        acceptor.bind(endpoint, ec);
    }
    if (!ec) {
        acceptor.listen(asio::socket_base::max_listen_connections, ec);
    }
    if (ec == boost::system::errc::address_family_not_supported ||
        ec == boost::system::errc::address_not_available) {
        return fail(errc::not_found, ec.message());
    }
    if (ec) {
        return fail(errc::unavailable, "cannot listen on " + address + " port " +
                                           std::to_string(port) + ": " + ec.message());
    }
    port = acceptor.local_endpoint().port();
    acceptors.push_back(std::move(acceptor));
    return {};
}

status http_server::state::bind_all() {
    const bool any_port = port == 0;
    for (int attempt = 1;; ++attempt) {
        const status bound = bind_each();
        // A port that is free on the first address may be taken on the next one.
        if (bound || !any_port || attempt == port_attempts) {
            return bound;
        }
        port = 0;
    }
}

status http_server::state::bind_each() {
    for (const std::string& address : context->settings.addresses) {
        const status bound = bind(address);
        if (!bound && bound.error().code == errc::not_found) {
            base::log_info("api", "this machine does not have an address to listen on",
                           {{"address", address}});
        } else if (!bound) {
            acceptors.clear();
            return bound;
        }
    }
    if (acceptors.empty()) {
        return fail(errc::unavailable, "none of the HTTP addresses exists on this machine");
    }
    return {};
}

awaitable<void> http_server::state::accept_loop(std::size_t index) {
    const auto self = shared_from_this();
    tcp::acceptor& acceptor = acceptors[index];
    const auto& may_accept = context->settings.may_accept;
    while (!stopping) {
        if (may_accept) {
            co_await acceptor.async_wait(tcp::acceptor::wait_read, use_tuple);
            if (!stopping && !may_accept()) {
                context->count_refusal("no_descriptors");
                asio::steady_timer pause(control, accept_pause);
                co_await pause.async_wait(use_tuple);
                continue;
            }
        }
        auto [ec, socket] = co_await acceptor.async_accept(asio::make_strand(executor), use_tuple);
        if (!ec) {
            welcome(tcp::socket(std::move(socket)));
        } else if (!stopping && ec != asio::error::operation_aborted) {
            context->count_refusal("accept_failed");
            asio::steady_timer pause(control, accept_pause);
            co_await pause.async_wait(use_tuple);
        }
    }
}

void http_server::state::welcome(tcp::socket socket) {
    boost::system::error_code ec;
    const tcp::endpoint peer = socket.remote_endpoint(ec);
    if (ec) {
        return; // gone already
    }
    socket.set_option(tcp::no_delay(true), ec);
    const auto strand = socket.get_executor();
    auto session =
        std::make_shared<http_session>(std::move(socket), to_source(peer.address()), context);
    session->set_deadline(steady_clock::now() + context->settings.idle_timeout);
    const auto verdict = context->table.admit(session, session->peer());
    if (verdict != connection_table::verdict::admitted) {
        session->turn_away(verdict);
        return;
    }
    context->accepted.add();
    context->open.add(1);
    asio::co_spawn(strand, serve(shared_from_this(), std::move(session)), asio::detached);
}

awaitable<void> http_server::state::serve(std::shared_ptr<state> self,
                                          std::shared_ptr<http_session> session) {
    co_await session->run();
    self->context->table.remove(*session, session->peer());
    self->context->open.add(-1);
    self->context->changed.notify_all();
}

awaitable<void> http_server::state::sweep_loop() {
    const auto self = shared_from_this();
    while (!stopped) { // deadlines hold during the stop too
        sweep_timer.expires_after(sweep_interval(context->settings));
        co_await sweep_timer.async_wait(use_tuple);
        context->table.expire_overdue(steady_clock::now());
    }
}

void http_server::state::close_acceptors() {
    stopping = true;
    for (tcp::acceptor& acceptor : acceptors) {
        boost::system::error_code ignored;
        acceptor.close(ignored);
    }
}

awaitable<bool> http_server::state::wait_until_empty(milliseconds limit) {
    const auto until = steady_clock::now() + limit;
    for (;;) {
        const auto seen = context->changed.version();
        if (context->table.size() == 0) {
            co_return true;
        }
        const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
        if (left.count() <= 0 || !co_await context->changed.wait(seen, left)) {
            co_return context->table.size() == 0;
        }
    }
}

http_server::http_server(asio::any_io_executor executor, http_settings settings,
                         http_handler handler, base::metrics& metrics)
    : state_(std::make_shared<state>(std::move(executor), std::move(settings), std::move(handler),
                                     metrics)) {}

http_server::~http_server() = default;

status http_server::start() {
    state_->port = state_->context->settings.port;
    if (const status bound = state_->bind_all(); !bound) {
        return bound;
    }
    for (std::size_t i = 0; i < state_->acceptors.size(); ++i) {
        asio::co_spawn(state_->control, state_->accept_loop(i), asio::detached);
    }
    asio::co_spawn(state_->control, state_->sweep_loop(), asio::detached);
    return {};
}

awaitable<bool> http_server::stop(milliseconds deadline) {
    const auto state = state_;
    asio::post(state->control, [state] { state->close_acceptors(); });
    state->context->table.close();
    const bool calm = co_await state->wait_until_empty(deadline);
    if (!calm) {
        base::log_warning("api", "dropping connections that did not end in time",
                          {{"connections", state->context->table.size()}});
        state->context->table.drop_all();
        if (!co_await state->wait_until_empty(drop_patience)) {
            base::log_error("api", "requests still running after the stop",
                            {{"connections", state->context->table.size()}});
        }
    }
    asio::post(state->control, [state] {
        state->stopped = true;
        state->sweep_timer.cancel();
    });
    co_return calm;
}

std::uint16_t http_server::port() const {
    return state_->port;
}

std::size_t http_server::connections() const {
    return state_->context->table.size();
}

} // namespace immortal::api
