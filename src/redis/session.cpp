#include "redis/session.hpp"

#include "base/log.hpp"

#include <algorithm>

namespace immortal::redis {

namespace {

constexpr std::size_t read_size = 64u << 10;

std::string_view why_not(bool connected, session::entry outcome) {
    if (!connected) {
        return "cannot connect";
    }
    return outcome == session::entry::refused ? "the server does not let us in"
                                              : "the server has ended the connection";
}

} // namespace

milliseconds back_off(unsigned failures) {
    return std::min(milliseconds(1000), milliseconds(10) * (1u << std::min(failures, 7u)));
}

session::session(strand executor, const endpoint& to)
    : to_(to), transport_(to.what == endpoint::kind::tls ? make_tls_transport(executor, to)
                                                         : make_plain_transport(executor, to)),
      limit_(executor), buffer_(read_size) {}

awaitable<bool> session::open(milliseconds limit) {
    limit_.expires_after(limit);
    limit_.async_wait([self = shared_from_this()](boost::system::error_code code) {
        if (!code) {
            self->close();
        }
    });
    const auto begun = std::chrono::steady_clock::now();
    const bool connected = co_await transport_->connect();
    const entry outcome = connected ? co_await log_in() : entry::none;
    const bool in_time = limit_.cancel() > 0; // else close() has been, or will be, called
    if (outcome == entry::granted && in_time) {
        co_return true;
    }
    if (outcome != entry::refused &&
        (closed_ || !in_time)) { // at the limit, or because a caller has waited in vain
        const auto waited =
            std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
        base::log_warning(
            "redis",
            connected ? "connected, but the server does not answer in time"
                      : "cannot connect in time",
            {{"server", to_.host}, {"within_ms", in_time ? waited.count() : limit.count()}});
    } else {
        base::log_warning("redis", why_not(connected, outcome), {{"server", to_.host}});
    }
    close();
    co_return false;
}

awaitable<session::entry> session::log_in() {
    std::vector<command> greeting;
    if (!to_.password.empty()) {
        greeting.push_back(to_.user.empty() ? command{"AUTH", to_.password}
                                            : command{"AUTH", to_.user, to_.password});
    }
    if (to_.database != 0) {
        greeting.push_back({"SELECT", std::to_string(to_.database)});
    }
    greeting.push_back({"PING"}); // an error while the server still loads its data
    std::string bytes;
    for (const auto& c : greeting) {
        encode(c, bytes);
    }
    if (!co_await write(std::move(bytes))) {
        co_return entry::none;
    }
    for (std::size_t i = 0; i < greeting.size(); ++i) {
        const auto answer = co_await read();
        if (!answer) {
            co_return entry::none;
        }
        if (answer->is_error()) {
            base::log_warning("redis", "log-in refused", {{"answer", answer->text}});
            co_return entry::refused;
        }
    }
    co_return entry::granted;
}

awaitable<std::optional<reply>> session::read() {
    for (;;) {
        if (auto ready = reader_.next()) {
            co_return ready;
        }
        if (reader_.broken()) {
            base::log_error("redis", "the server does not speak Redis' protocol");
            co_return std::nullopt;
        }
        const std::size_t count = co_await transport_->read_some(buffer_);
        if (count == 0) {
            co_return std::nullopt;
        }
        last_heard_ = std::chrono::steady_clock::now();
        reader_.feed({buffer_.data(), count});
    }
}

awaitable<bool> session::write(std::string bytes) {
    co_return co_await transport_->write(bytes);
}

} // namespace immortal::redis
