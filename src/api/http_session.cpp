#include "api/http_session.hpp"

#include "api/response_writer.hpp"
#include "base/log.hpp"
#include "base/random.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <exception>

namespace immortal::api {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

constexpr std::size_t first_buffer_size = 2'048;
constexpr std::size_t kept_buffer_size = 65'536;  // a larger answer's buffer is given back
constexpr std::size_t linger_size_max = 1u << 20; // bytes read and dropped after a refusal
constexpr milliseconds linger_timeout{1'000};
// While the server stops: how long an answer may stand still before its client counts as gone.
constexpr milliseconds stop_stall_max{1'000};
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

std::uint64_t mixed(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

} // namespace

session_context::session_context(http_settings given, http_handler answering, base::metrics& target)
    : settings(std::move(given)), handler(std::move(answering)), metrics(target),
      table({settings.connections_max, settings.connections_per_source_max,
             settings.trusted_proxies}),
      accepted(target.make_counter("immortal_http_connections_total", "Connections accepted")),
      open(target.make_gauge("immortal_http_connections", "Connections open")),
      id_seed(base::system_random().next()) {}

void session_context::make_request_id(std::string& out) {
    static constexpr std::string_view digits = "0123456789abcdef";
    const std::uint64_t id = mixed(id_seed + id_next.fetch_add(1, std::memory_order_relaxed));
    for (int shift = 60; shift >= 0; shift -= 4) {
        out.push_back(digits[(id >> shift) & 15]);
    }
}

void session_context::count_refusal(std::string_view reason) {
    metrics
        .make_counter("immortal_http_refused_total",
                      "Connections and requests refused before routing",
                      {{"reason", std::string(reason)}})
        .add();
}

source_address to_source(asio::ip::address peer) {
    if (peer.is_v6() && peer.to_v6().is_v4_mapped()) {
        peer = asio::ip::make_address_v4(asio::ip::v4_mapped, peer.to_v6());
    }
    source_address out;
    out.loopback = peer.is_loopback();
    if (peer.is_v4()) {
        out.text = peer.to_string();
        out.group = out.text;
        return out;
    }
    asio::ip::address_v6 six = peer.to_v6();
    six.scope_id(0);
    out.text = six.to_string();
    auto bytes = six.to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    out.group = out.loopback ? out.text : asio::ip::address_v6(bytes).to_string() + "/64";
    return out;
}

http_session::http_session(asio::ip::tcp::socket socket, source_address peer,
                           std::shared_ptr<session_context> context)
    : socket_(std::move(socket)), peer_(std::move(peer)),
      behind_proxy_(std::ranges::find(context->settings.trusted_proxies, peer_.text) !=
                    context->settings.trusted_proxies.end()),
      context_(std::move(context)),
      parser_({context_->settings.header_size_max, context_->settings.header_fields_max,
               context_->settings.body_size_max}) {
    parser_.message().source = peer_;
}

void http_session::turn_away(connection_table::verdict why) {
    const bool own_fault = why == connection_table::verdict::source_full;
    context_->count_refusal(own_fault ? "source_connections" : "connections");
    request& asked = parser_.message();
    context_->make_request_id(asked.request_id);
    response answered =
        plain_problem(503, own_fault ? "too_many_connections" : "server_full",
                      own_fault ? "Too many connections from this address; close some first."
                                : "The server takes no more connections; try again later.",
                      asked.request_id);
    answered.add_header("Retry-After", "1");
    answered.close = true;
    append_response(out_, answered, asked.request_id, body_part::sent);
    boost::system::error_code ignored;
    socket_.non_blocking(true, ignored);
    socket_.write_some(asio::buffer(out_), ignored);
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    socket_.close(ignored);
}

void http_session::enter(phase next) {
    phase_ = next;
    set_deadline(steady_clock::now() + limit_of(next));
}

milliseconds http_session::limit_of(phase which) const {
    const http_settings& s = context_->settings;
    switch (which) {
    case phase::idle:
        return s.idle_timeout;
    case phase::reading:
        return s.read_timeout;
    case phase::handling:
        return s.request_timeout;
    case phase::writing:
        return winding_down_ ? std::min(s.write_timeout, stop_stall_max) : s.write_timeout;
    case phase::lingering:
        break;
    }
    return linger_timeout;
}

awaitable<void> http_session::run() {
    try {
        co_await serve();
    } catch (const std::exception& e) {
        base::log_error("api", "a connection ended by an exception", {{"what", e.what()}});
    }
    boost::system::error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
}

awaitable<void> http_session::serve() {
    for (;;) {
        parser_.reset();
        switch (co_await read_request()) {
        case outcome::ended:
            co_return;
        case outcome::refused:
            co_await refuse(parser_.error());
            co_return;
        case outcome::request:
            break;
        }
        request& asked = parser_.message();
        prepare(asked);
        enter(phase::handling);
        response answered = co_await answer(asked);
        if (phase_ != phase::handling) {
            co_return; // too late: the client has its 503
        }
        const bool keep = parser_.keep_alive() && !answered.close && !winding_down_;
        answered.close = !keep;
        append_response(out_, answered, asked.request_id,
                        asked.verb == method::head ? body_part::left_out : body_part::sent);
        if (!co_await write()) {
            co_return;
        }
        if (!keep) {
            if (begin_ != end_) {
                co_await linger();
            }
            co_return;
        }
    }
}

void http_session::prepare(request& asked) {
    if (asked.request_id.empty()) {
        context_->make_request_id(asked.request_id);
    }
    if (behind_proxy_) {
        boost::system::error_code ec;
        const auto named = asio::ip::make_address(std::string(parser_.forwarded_for()), ec);
        asked.source = ec ? peer_ : to_source(named);
    }
}

awaitable<http_session::outcome> http_session::read_request() {
    enter(phase::idle);
    bool continued = false;
    for (;;) {
        if (begin_ != end_) {
            if (phase_ == phase::idle) {
                enter(phase::reading);
            }
            std::size_t consumed = 0;
            const auto progress = parser_.put({in_.data() + begin_, end_ - begin_}, consumed);
            begin_ += consumed;
            if (progress == request_parser::progress::done) {
                co_return outcome::request;
            }
            if (progress == request_parser::progress::failed) {
                co_return outcome::refused;
            }
            if (!continued && parser_.header_done() && parser_.wants_continue()) {
                continued = true;
                if (!co_await send_continue()) {
                    co_return outcome::ended;
                }
            }
        }
        if (winding_down_) { // what has not wholly arrived was not accepted
            co_return outcome::ended;
        }
        if (!co_await fill()) {
            if (expired_ && phase_ != phase::idle) {
                co_await refuse({408, "request_timeout", "The request did not arrive in time."});
            }
            co_return outcome::ended;
        }
    }
}

// Reads more bytes behind the unread ones; false at the end of the connection.
awaitable<bool> http_session::fill() {
    if (begin_ == end_) {
        begin_ = end_ = 0;
        if (in_.empty()) {
            in_.resize(first_buffer_size);
        }
    } else if (end_ == in_.size()) {
        if (begin_ != 0) {
            std::move(in_.begin() + static_cast<std::ptrdiff_t>(begin_),
                      in_.begin() + static_cast<std::ptrdiff_t>(end_), in_.begin());
            end_ -= begin_;
            begin_ = 0;
        } else {
            // The parser refuses unread bytes beyond the header limit, so this stays bounded.
            in_.resize(in_.size() * 2);
        }
    }
    const auto [ec, count] = co_await socket_.async_read_some(
        asio::buffer(in_.data() + end_, in_.size() - end_), use_tuple);
    end_ += count;
    co_return !ec;
}

awaitable<bool> http_session::send_continue() {
    static constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto [ec, count] = co_await asio::async_write(socket_, asio::buffer(text), use_tuple);
    co_return !ec;
}

awaitable<response> http_session::answer(const request& asked) {
    try {
        co_return co_await context_->handler(asked);
    } catch (const std::exception& e) {
        base::log_error("api", "a handler ended by an exception",
                        {{"what", e.what()}, {"request_id", asked.request_id}});
    }
    context_->count_refusal("exception");
    co_return plain_problem(500, "internal_error",
                            "The server failed to answer; the request id finds the cause.",
                            asked.request_id);
}

awaitable<bool> http_session::write() {
    enter(phase::writing);
    const auto last_moment = steady_clock::now() + context_->settings.write_timeout;
    std::size_t sent = 0;
    bool good = true;
    while (good && sent < out_.size()) {
        const auto [ec, count] = co_await socket_.async_write_some(
            asio::buffer(out_.data() + sent, out_.size() - sent), use_tuple);
        good = !ec;
        sent += count;
        if (winding_down_) { // a client that reads keeps its time
            set_deadline(std::min(last_moment, steady_clock::now() + stop_stall_max));
        }
    }
    if (out_.capacity() > kept_buffer_size) {
        std::string().swap(out_);
    }
    out_.clear();
    co_return good;
}

awaitable<void> http_session::refuse(framing_error why) {
    context_->count_refusal(why.code);
    request& asked = parser_.message();
    if (asked.request_id.empty()) {
        context_->make_request_id(asked.request_id);
    }
    base::log_debug("api", "request refused",
                    {{"code", why.code}, {"source", peer_.text}, {"id", asked.request_id}});
    response answered = plain_problem(why.status, why.code, why.detail, asked.request_id);
    answered.close = true;
    append_response(out_, answered, asked.request_id, body_part::sent);
    if (co_await write()) {
        co_await linger();
    }
}

// Closing with unread bytes would reset the connection, and the client might never see the answer.
awaitable<void> http_session::linger() {
    enter(phase::lingering);
    boost::system::error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    std::size_t dropped = 0;
    begin_ = end_ = 0;
    while (dropped < linger_size_max && co_await fill()) {
        dropped += end_;
        begin_ = end_ = 0;
    }
}

void http_session::expire() {
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->expire_on_strand(); });
}

void http_session::expire_on_strand() {
    if (!overdue(steady_clock::now())) {
        return;
    }
    expired_ = true;
    set_deadline(steady_clock::time_point::max());
    boost::system::error_code ignored;
    if (phase_ == phase::handling) {
        answer_late();
    } else if (phase_ == phase::writing) {
        context_->count_refusal("write_timeout");
        socket_.close(ignored);
    } else {
        socket_.cancel(ignored);
    }
}

// The handler goes on by itself; its answer is dropped when it comes.
void http_session::answer_late() {
    context_->count_refusal("request_timeout");
    const std::string& id = parser_.message().request_id;
    response late = plain_problem(503, "timeout",
                                  "The request took too long and may still take effect. Repeating "
                                  "it with the same Idempotency-Key is safe.",
                                  id);
    late.add_header("Retry-After", "1");
    late.close = true;
    append_response(out_, late, id, body_part::sent);
    enter(phase::writing);
    asio::async_write(socket_, asio::buffer(out_),
                      [self = shared_from_this()](const boost::system::error_code&, std::size_t) {
                          boost::system::error_code ignored;
                          self->socket_.close(ignored);
                      });
}

void http_session::wind_down() {
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        self->winding_down_ = true;
        if (self->phase_ == phase::writing) {
            self->set_deadline(steady_clock::now() + self->limit_of(phase::writing));
        } else if (self->phase_ != phase::handling) {
            boost::system::error_code ignored;
            self->socket_.cancel(ignored);
        }
    });
}

void http_session::drop() {
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        self->winding_down_ = true;
        boost::system::error_code ignored;
        self->socket_.close(ignored);
    });
}

} // namespace immortal::api
