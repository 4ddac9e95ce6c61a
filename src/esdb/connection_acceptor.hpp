// Accepts the connections of the event store's protocol and hands them to gRPC, whose own acceptor
// ends for ever at the first connection for which there is no descriptor. Here they wait.
#pragma once

#include "base/result.hpp"
#include "esdb/listening.hpp"

#include <chrono>
#include <functional>
#include <grpcpp/server_builder.h>
#include <memory>
#include <thread>
#include <vector>

namespace immortal::esdb {

// One thread of its own. start(), stop(): one caller at a time.
class connection_acceptor {
public:
    // `may_accept` is asked before each connection, on the acceptor's thread: false, it waits in
    // the system's queue. Empty: always.
    // `accepted` is told each one before gRPC has it. Empty: nobody is.
    connection_acceptor(std::vector<descriptor> sockets, std::function<bool()> may_accept,
                        std::function<void(int connection)> accepted = {});
    ~connection_acceptor(); // stop()
    connection_acceptor(const connection_acceptor&) = delete;
    connection_acceptor& operator=(const connection_acceptor&) = delete;

    // Hands connections to `target`, whose server has started. Once. Errors: unavailable (no
    // thread, no descriptor).
    [[nodiscard]] base::status
    start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> target);
    // Accepts no more and closes the sockets; nothing is handed over after it has returned.
    // Idempotent. Comes before the shutdown of the target's server.
    void stop();

private:
    void run();
    void accept_some(int socket);
    [[nodiscard]] bool is_allowed() const;
    void tell_of_shortage(int error);
    void pause() const;

    const std::function<bool()> may_accept_;
    const std::function<void(int)> accepted_;
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> target_;
    std::vector<descriptor> sockets_;
    descriptor wake_;                                     // readable: stop
    std::chrono::steady_clock::time_point quiet_until_{}; // about shortages
    std::thread thread_;
};

} // namespace immortal::esdb
