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

// A Lua script, sent by its digest, by text when the server does not know it yet.
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
    std::string
        uri; // redis://[user:password@]host[:port][/db], rediss://..., unix:///path/to.sock[?db=n]
    milliseconds connect_timeout{500};
    milliseconds command_timeout{500};
    std::size_t in_flight_max = 4096; // commands sent and not answered; more get errc::exhausted
    std::size_t connections = 1;
};

// Connections are made when needed and replaced when lost (back-off 10 ms to 1 s; while away, calls
// fail at once). Thread-safe; work runs on `executor`. Errors: unavailable (not connected, or lost
// before the answer: the command may have run), timeout, exhausted. An error *reply* is a value
// (`reply::is_error`), except for pipeline-level failures.
class client {
public:
    virtual ~client() = default;
    virtual awaitable<base::result<reply>> run(command c) = 0;
    virtual awaitable<base::result<std::vector<reply>>>
    run_all(std::vector<command> commands) = 0; // one pipeline
    virtual awaitable<base::result<reply>> eval(const script& s, std::vector<std::string> keys,
                                                std::vector<std::string> values) = 0;
    [[nodiscard]] virtual bool available() const = 0;
    virtual awaitable<void> stop() = 0;
};

[[nodiscard]] std::unique_ptr<client> make_client(boost::asio::any_io_executor executor,
                                                  settings settings, base::metrics& metrics);

struct message {
    std::string channel;
    std::string payload;
};
// An own connection that re-connects by itself; an empty optional means "the connection was lost in
// between: messages may have been missed".
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
