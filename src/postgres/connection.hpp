// Inside the module: one session with the server.
#pragma once

#include "postgres/database.hpp"
#include "postgres/sqlstate.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <libpq-fe.h>

#include <memory>
#include <unordered_map>

namespace immortal::postgres {

using strand = boost::asio::strand<boost::asio::any_io_executor>;

// A statement with its values; both outlive the execution.
struct statement {
    const char* text;
    const arguments* values; // null: none
};

// How a pipeline of statements went.
struct execution {
    std::vector<rows> results;         // of the statements before the first error, in order
    std::optional<server_error> error; // the first one; it belongs to statement results.size()
    bool sent = false;                 // the server may have received the last statement
    bool timed_out = false;
    bool lost = false; // the session has ended; no answer to the rest

    [[nodiscard]] bool ok() const noexcept { return !error && !lost; }
};

// A session in pipeline mode. Everything on `executor`, a strand; one execution at a time. The
// libpq object does the protocol; this class moves its bytes and keeps the deadline.
class connection : public std::enable_shared_from_this<connection> {
public:
    connection(strand executor, const settings& options);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    // Once. unavailable, with a reason of sqlstate.hpp where the server refuses; the log has its
    // text.
    awaitable<base::status> open();

    // Sends all statements and one Sync, and reads to the Sync's answer. Statements whose text is a
    // literal are prepared once per connection, known by its address.
    awaitable<execution> execute(std::vector<statement> list, base::steady_time deadline);
    // The same for one statement made at run time, not prepared.
    awaitable<execution> execute_once(std::string text, base::steady_time deadline);

    // The next notification; empty: the session ended, or nothing came before the deadline.
    awaitable<std::optional<std::string>> notification(base::steady_time deadline);

    [[nodiscard]] std::string quoted(const std::string& identifier) const;
    // False when the server has ended the idle session. Does not wait.
    [[nodiscard]] bool usable();
    // Ends what is under way; the session is of no further use.
    void abort();

private:
    enum class progress { busy, done, lost };
    struct pending; // what the server still has to answer

    bool start(const settings& options);
    awaitable<base::status> handshake(base::steady_time deadline);
    awaitable<base::status> fail_open(std::string_view why);
    bool enqueue(const statement& item, pending& plan);
    awaitable<void> drive(pending& plan, execution& out, base::steady_time deadline);
    progress drain(pending& plan, execution& out);
    void take(PGresult* result, pending& plan, execution& out);
    void forget_unconfirmed(const pending& plan);
    // False at the deadline or when aborted.
    awaitable<bool> wait(bool readable, bool writable, base::steady_time deadline);
    // Watches the session's socket, by a descriptor of its own: libpq closes its one when it meets
    // an error, and the number may be somebody else's when it is taken out of the reactor.
    bool attach();
    void detach();
    void close();

    const settings options_;
    strand strand_;
    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer wake_;
    PGconn* session_ = nullptr;
    std::unordered_map<const char*, std::string> prepared_; // literal -> its name on the server
    std::uint64_t prepared_count_ = 0;
    bool read_pending_ = false;
    bool write_pending_ = false;
    bool ready_ = false; // the socket became readable or writable since the last wait
    bool aborted_ = false;
};

} // namespace immortal::postgres
