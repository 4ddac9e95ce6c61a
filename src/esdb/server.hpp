// The gRPC port: accepts calls and runs their handlers as coroutines. It knows no service.
#pragma once

#include "base/result.hpp"
#include "esdb/authorizer.hpp"
#include "esdb/caller_ledger.hpp"
#include "esdb/method_table.hpp"
#include "runtime/engine.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::esdb {

using std::chrono::milliseconds;

// PEM texts.
struct tls_settings {
    std::string certificate; // chain of the server
    std::string key;
    std::string client_authority = {}; // empty: client certificates are not asked for
    bool client_required = false;      // true: a client without a valid certificate is refused
};

struct server_settings {
    std::vector<std::string> addresses = {"127.0.0.1", "::1"}; // numeric
    std::uint16_t port = 2113;                // 0: any free one, the same for all addresses
    std::optional<tls_settings> tls = {};     // none: only loopback addresses are allowed
    std::size_t threads = 2;                  // that drive the network; handlers run on the engine
    caller_limits callers = {};               // beyond them a call is answered UNAVAILABLE
    std::size_t message_size_max = 81u << 20; // bytes of one received message
    std::size_t receive_bytes_max = 512u << 20; // what gRPC may hold of messages that come in
    std::size_t receiving_max = 16;             // large messages that begin to come in at once,
    std::size_t receiving_caller_max = 16;      // for one login at one address
    milliseconds first_message_limit{10'000};   // from the beginning of a call
    milliseconds message_limit{30'000};         // for each further message, or one with payload
    milliseconds answer_limit{120'000};         // for one message of an answer to be taken
    milliseconds keepalive_time{30'000};        // a silent client is asked after this long,
    milliseconds keepalive_timeout{20'000};     // and dropped when it does not answer for this long
    // Asked before each connection is accepted, on the acceptor's thread: false, it waits. Empty:
    // always.
    std::function<bool()> may_accept = {};
};

// Thread-safe.
class server {
public:
    // `methods` and `rules` outlive the server; so does the engine, whose threads run the handlers.
    server(runtime::engine& engine, server_settings settings, const method_table& methods,
           authorizer& rules);
    ~server(); // after stop(), or never started
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    // Listens. An IPv6 loopback address that the machine lacks is left out as long as another one
    // is there. Blocks briefly. Errors: invalid_argument (an address that is not numeric; not a
    // loopback one without TLS; a certificate that cannot be used), unavailable (port taken: the
    // message names it; no thread).
    [[nodiscard]] base::status start();
    // Takes no more connections, and cancels every call that carries out nothing: what lasts, what
    // has not sent its request, what the client does not read. Gives accepted work `limit` to
    // finish, and cancels what is left. Blocks; not from a thread of the engine. A stopped server
    // is not started again.
    void stop(milliseconds limit);

    // Connections from now on get these; those that stand keep theirs. Whether clients are asked
    // for certificates stays as it was. Precondition: there is TLS. Errors: invalid_argument (they
    // cannot be used; nothing has changed).
    [[nodiscard]] base::status renew_certificates(tls_settings tls);

    [[nodiscard]] std::uint16_t port() const; // after start()
    [[nodiscard]] std::size_t calls() const;  // in progress
    [[nodiscard]] const caller_ledger& callers() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

// Whether all `addresses` can be listened on at `port` now: for a clear refusal before anything is
// started. Errors as in server::start().
[[nodiscard]] base::status check_listening(const std::vector<std::string>& addresses,
                                           std::uint16_t port);

} // namespace immortal::esdb
