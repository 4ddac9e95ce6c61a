// Inside the module: one logged-in connection.
#pragma once

#include "base/clock.hpp"
#include "redis/resp.hpp"
#include "redis/transport.hpp"

#include <boost/asio/steady_timer.hpp>

namespace immortal::redis {

// Everything on the strand. One reading and one writing coroutine at a time, which keep it alive.
class session : public std::enable_shared_from_this<session> {
public:
    // What the server says to a log-in; none: no answer.
    enum class entry { granted, refused, none };

    session(strand executor, const endpoint& to);

    // Connects and logs in, once. False: the log says why.
    awaitable<bool> open(milliseconds limit);
    // The next reply; empty: the connection has ended.
    awaitable<std::optional<reply>> read();
    awaitable<bool> write(std::string bytes);
    void close() {
        closed_ = true;
        transport_->close();
    }
    [[nodiscard]] base::steady_time last_heard() const { return last_heard_; }

private:
    awaitable<entry> log_in();

    const endpoint to_;
    std::shared_ptr<transport> transport_;
    boost::asio::steady_timer limit_;
    reply_reader reader_;
    std::vector<char> buffer_;
    base::steady_time last_heard_{};
    bool closed_ = false; // by this side
};

// How long to wait before trying again: 10 ms, doubling, to 1 s.
[[nodiscard]] milliseconds back_off(unsigned failures);

} // namespace immortal::redis
