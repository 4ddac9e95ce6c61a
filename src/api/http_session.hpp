// One HTTP/1.1 connection: reads a request, has it answered, writes the answer, and so on.
#pragma once

#include "api/connection_table.hpp"
#include "api/http_server.hpp"
#include "api/request_parser.hpp"
#include "runtime/async_event.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace immortal::api {

// What all connections of a server share; outlives them.
struct session_context {
    session_context(http_settings given, http_handler answering, base::metrics& metrics);

    const http_settings settings;
    const http_handler handler;
    base::metrics& metrics;
    connection_table table;
    runtime::async_event changed; // a connection has ended
    base::counter accepted;
    base::gauge open;
    const std::uint64_t id_seed;
    std::atomic<std::uint64_t> id_next{0};

    void make_request_id(std::string& out);      // 16 hexadecimal digits, unique in the process
    void count_refusal(std::string_view reason); // of a connection or a request without a route
};

[[nodiscard]] source_address to_source(boost::asio::ip::address peer);

// Lives as long as its coroutine. All work on the socket's strand.
class http_session final : public connection, public std::enable_shared_from_this<http_session> {
public:
    http_session(boost::asio::ip::tcp::socket socket, source_address peer,
                 std::shared_ptr<session_context> context);

    [[nodiscard]] const source_address& peer() const noexcept { return peer_; }
    awaitable<void> run(); // never throws
    // Instead of run(): answers 503 if that needs no waiting, and closes.
    void turn_away(connection_table::verdict why);

    void expire() override;
    void wind_down() override;
    void drop() override;

private:
    enum class phase : std::uint8_t { idle, reading, handling, writing, lingering };
    enum class outcome : std::uint8_t { request, refused, ended };

    void enter(phase next);
    [[nodiscard]] milliseconds limit_of(phase which) const;
    awaitable<void> serve();
    awaitable<outcome> read_request();
    awaitable<bool> fill();
    awaitable<bool> send_continue();
    awaitable<response> answer(const request& asked);
    awaitable<bool> write();
    awaitable<void> refuse(framing_error why);
    awaitable<void> linger();
    void prepare(request& asked);
    void expire_on_strand();
    void answer_late();

    boost::asio::ip::tcp::socket socket_;
    const source_address peer_;
    const bool behind_proxy_;
    const std::shared_ptr<session_context> context_;
    request_parser parser_;
    std::vector<char> in_;
    std::size_t begin_ = 0; // unread bytes are in_[begin_, end_)
    std::size_t end_ = 0;
    std::string out_;
    phase phase_ = phase::idle;
    bool expired_ = false;
    bool winding_down_ = false;
};

} // namespace immortal::api
