// The bridge between gRPC's completion queue and coroutines: one call from its arrival to its end.
// Internal to the server.
//
// gRPC answers every operation with a tag on the queue's thread; the tag keeps the driver alive and
// posts the outcome to the call's strand. Everything but the tags is used on the strand only, so
// there is no lock. A wait that is cancelled leaves its gRPC operation outstanding; its buffers
// belong to the driver and live until the tag comes back.
//
// A call goes through these steps, and may be refused at each:
//
//     counted        an entry in the ledger, by address and kind
//     authenticated  counted by login too
//     let in         the method's rule, before a byte of the request is received
//     received       a deadline for each message; a place at a gate (receive_gate) for a large one
//                    to begin with; what comes in without a place is measured meanwhile
//                    (connection_meter), and charged
//     admitted       the method's rule, on the streams that the message names
//     accepted       accepted_work: what a stop waits for
//     carried out    the handler's own business
//     ended          the status is sent
//
// An answer that the client does not take ends the call after a while, unless it is one that lasts.
// It is told so: a status can go out past the data that wait.
#pragma once

#include "esdb/call.hpp"
#include "esdb/caller_ledger.hpp"
#include "esdb/connection_meter.hpp"
#include "esdb/method_table.hpp"
#include "esdb/receive_gate.hpp"
#include "runtime/engine.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <grpcpp/generic/async_generic_service.h>
#include <memory>
#include <string>

namespace immortal::esdb {

class call_driver;

// What the drivers of a server share; outlives them.
struct call_host {
    // Made anew for each attempt to start: gRPC takes a service once.
    std::unique_ptr<grpc::AsyncGenericService> service;
    std::unique_ptr<grpc::ServerCompletionQueue> queue;
    runtime::any_io_executor executor;
    const method_table* methods = nullptr;
    authorizer* rules = nullptr;
    caller_ledger* callers = nullptr;
    receive_gate* gate = nullptr; // of large messages
    connection_meter* meter = nullptr;
    std::size_t message_size_max = 0;
    std::chrono::milliseconds first_message_limit{}; // for the first message
    // For each further one, or one with payload; and for a place at a gate.
    std::chrono::milliseconds message_limit{};
    std::chrono::milliseconds answer_limit{}; // for one message of an answer to be taken
    std::function<void(const std::shared_ptr<call_driver>&)> arrived; // on a thread of the queue
    std::function<bool()> work_begun;            // any thread; false: the server is stopping
    std::function<void()> work_ended;            // any thread
    std::function<void(call_driver*)> destroyed; // any thread
};

class call_driver final : public call, public std::enable_shared_from_this<call_driver> {
public:
    explicit call_driver(call_host& host);
    ~call_driver() override;

    // Waits for a call to arrive. Once. The queue is not shut down.
    void request();
    // Cancels the call, unless it is carrying out what was accepted. Thread-safe.
    void stop();
    // Cancels the call whatever it does, and its answer too if the client does not take it.
    // Thread-safe.
    void cut_off(); // the client is told UNAVAILABLE
    // For the queue's threads: `tag` came back.
    static void complete(void* tag, bool ok);

    [[nodiscard]] const call_headers& headers() const override { return headers_; }
    [[nodiscard]] const principal& caller() const override { return caller_; }
    [[nodiscard]] boost::asio::any_io_executor executor() const override { return strand_; }
    awaitable<std::optional<grpc::ByteBuffer>> read() override;
    awaitable<bool> confirm_end() override;
    awaitable<bool> write(grpc::ByteBuffer message, more then) override;
    void write_last(grpc::ByteBuffer message) override;
    awaitable<std::optional<rpc_status>>
    admit(const google::protobuf::MessageLite& message) override;
    [[nodiscard]] bool begin_lasting() override;
    [[nodiscard]] shared_charge make_charge() override;
    [[nodiscard]] shared_charge answer_charge() override;
    [[nodiscard]] bool begin_work() override;
    void end_work() override;

private:
    using time_point = std::chrono::steady_clock::time_point;
    class incoming_read;

    // A message that ends its call.
    struct message_refused : std::exception {
        explicit message_refused(rpc_status why) : status(std::move(why)) {}
        [[nodiscard]] const char* what() const noexcept override { return status.message.c_str(); }
        rpc_status status;
    };

    struct operation {
        explicit operation(void (call_driver::*f)(bool)) : finished(f) {}
        void (call_driver::*finished)(bool ok); // on a thread of the queue
        std::shared_ptr<call_driver> held = {}; // while gRPC has the tag
        // Orders what was written before the operation began against its end, for whoever cannot
        // see gRPC's own ordering (ThreadSanitizer).
        std::atomic<int> handover{0};
        // On the strand:
        bool outstanding = false;
        bool ok = false;
        std::uint64_t wait = 0; // counts the waits for it, and names the present one
        std::function<void(bool done)> resume = {};
    };

    void* begin(operation& op);
    // Ends a call whose client does not take what was sent, with a status all the same.
    void drop_unread(const rpc_status& status);
    void settle(operation& op, bool ok);       // from any thread
    awaitable<bool> completion(operation& op); // throws operation_aborted if cancelled, or late_
    void resume_cancelled(operation& op, std::uint64_t wait); // on the strand
    void request_finished(bool ok);
    void client_done(bool ok);
    void read_finished(bool ok);
    void write_finished(bool ok);
    void finish_finished(bool ok);

    awaitable<void> run();
    awaitable<rpc_status> serve();
    awaitable<std::optional<rpc_status>> let_in();
    [[nodiscard]] rpc_status denied(const base::error& error) const;
    [[nodiscard]] std::optional<rpc_status> status_of_failure(const std::exception_ptr& failure);
    awaitable<void> enter_gate(receive_gate& gate);
    [[nodiscard]] receive_gate* gate_of_next() const; // null: none
    [[nodiscard]] bool is_next_timed() const;         // else it may come at any time
    [[nodiscard]] bool is_next_payload() const;       // of an append
    [[nodiscard]] std::chrono::milliseconds limit_of_next() const;
    void watch(time_point due);
    void look_at_deadlines();
    void look_at_incoming();
    void explain_rest(const rpc_status& status);
    void end_wait(); // for a place or a message, which is late
    void expect_message(std::chrono::milliseconds limit);
    void expect_progress(); // of what is written, from now on
    void look_at_answer();
    [[nodiscard]] bool may_stand_still() const; // though nothing of its answer is taken
    awaitable<rpc_status> serve_guarded();
    void read_headers();
    void finish(rpc_status status);

    call_host& host_;
    boost::asio::strand<runtime::any_io_executor> strand_;
    grpc::GenericServerContext context_;
    grpc::GenericServerAsyncReaderWriter stream_{&context_};
    operation request_{&call_driver::request_finished};
    operation done_{&call_driver::client_done};
    operation read_{&call_driver::read_finished};
    operation write_{&call_driver::write_finished};
    operation finish_{&call_driver::finish_finished};

    boost::asio::cancellation_signal cancel_;
    grpc::ByteBuffer incoming_;
    std::optional<grpc::ByteBuffer> last_;
    std::unique_ptr<caller_ledger::entry> entry_;
    operation place_{nullptr}; // at the gate
    receive_gate::visitor visitor_;
    std::optional<boost::asio::steady_timer> timer_{strand_};
    time_point due_ = time_point::max();             // of the message that is awaited
    time_point answer_due_ = time_point::max();      // of the one that is written
    time_point look_due_ = time_point::max();        // at what comes in without a place
    std::shared_ptr<metered_connection> connection_; // null: not known
    std::uint64_t old_bytes_ = 0;                    // that came before the present read
    std::uint64_t delivered_ = 0; // on the connection, when the present message began to come in
    shared_charge answer_charge_;
    shared_charge incoming_charge_; // for what has come of a message; null: nothing worth it
    incoming_read* incoming_read_ = nullptr; // the present one
    std::size_t received_ = 0;               // messages
    std::size_t working_ = 0;                // accepted_work objects
    call_headers headers_;
    principal caller_;
    const method* method_ = nullptr;
    bool begun_ = false;     // something was written
    bool watching_ = false;  // the timer runs
    bool late_ = false;      // a message did not come in time
    bool in_line_ = false;   // waits for room (a place at a gate), or found none
    bool lasts_ = false;     // goes on for as long as the client likes
    bool ended_ = false;     // run() is over
    bool finishing_ = false; // the status is being sent, or was
    bool stopping_ = false;  // the server cancelled the call
    bool gone_ = false;      // the client did, or its deadline passed
};

} // namespace immortal::esdb
