// Redis through hiredis, on Asio: pipelined commands, scripts, publish and subscribe.
#pragma once

#include "base/metrics.hpp"
#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::redis {

using boost::asio::awaitable;
using std::chrono::milliseconds;

// A RESP reply as a plain value.
struct reply {
    enum class kind : std::uint8_t { nil, text, integer, array, error };
    kind what = kind::nil;
    std::string text; // text and error
    std::int64_t integer = 0;
    std::vector<reply> items;

    [[nodiscard]] bool is_nil() const noexcept { return what == kind::nil; }
    [[nodiscard]] bool is_error() const noexcept { return what == kind::error; }
};

using command = std::vector<std::string>; // {"SET", key, value, "PX", "1000"}; binary-safe

// A Lua script, sent by its digest, by text when the server does not know it yet. Immutable.
class script {
public:
    explicit script(std::string text);
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] const std::string& digest() const noexcept {
        return digest_;
    } // SHA-1, hexadecimal

private:
    std::string text_;
    std::string digest_;
};

struct settings {
    // redis://[[user]:password@]host[:port][/db], rediss://... (TLS, verified against the system's
    // authorities), unix:///path/to.sock[?db=n]. Percent-encoding is understood.
    std::string uri;
    milliseconds connect_timeout{500};
    milliseconds command_timeout{500};
    std::size_t in_flight_max = 65536; // unanswered commands of a connection; more: exhausted
    std::size_t connections = 1;
};

// Connections are made on first use and replaced when lost (back-off 10 ms to 1 s; while away,
// calls fail at once). With one connection, commands run in the order in which they were called.
// Thread-safe; work runs on a strand of `executor`, callers resume on their own executor. A call
// ends by its own deadline only: cancelling the caller does not interrupt it.
//
// Errors: unavailable (not connected: nothing was done; or lost before the answer: the command may
// have run), timeout (no answer in time: the command may have run), exhausted, cancelled (stopped),
// invalid_argument (the URI). An error *reply* is a value (`reply::is_error`).
class client {
public:
    virtual ~client() = default;
    virtual awaitable<base::result<reply>> run(command c) = 0;
    // One pipeline on one connection; replies in order. Not atomic: use MULTI, or a script.
    virtual awaitable<base::result<std::vector<reply>>> run_all(std::vector<command> commands) = 0;
    // EVALSHA; EVAL when the server does not know the script.
    virtual awaitable<base::result<reply>> eval(const script& s, std::vector<std::string> keys,
                                                std::vector<std::string> values) = 0;
    [[nodiscard]] virtual bool available() const = 0; // connected now; false before first use
    virtual awaitable<void> stop() = 0;               // fails what is under way, closes
};

// `metrics` outlives the client, and the client its calls.
[[nodiscard]] std::unique_ptr<client> make_client(boost::asio::any_io_executor executor,
                                                  settings settings, base::metrics& metrics);

struct message {
    std::string channel;
    std::string payload;
};
// An own connection that re-connects by itself. An empty optional means "subscribed from now on:
// messages may have been missed before", and comes after every connect, the first included. One
// next() at a time; the connection is read only inside next(). next()'s only errors: cancelled,
// invalid_argument (the URI). cancel() is thread-safe.
class subscriber {
public:
    virtual ~subscriber() = default;
    virtual awaitable<base::result<std::optional<message>>> next() = 0;
    virtual void cancel() = 0;
};
[[nodiscard]] std::unique_ptr<subscriber> make_subscriber(boost::asio::any_io_executor executor,
                                                          settings settings,
                                                          std::vector<std::string> channels);

} // namespace immortal::redis
