// One call in progress, as its handler sees it: messages in, messages out, headers.
//
// On the wire every method is a pair of message streams; a unary method reads one message and
// writes one. The handler is a coroutine on the call's own strand; everything here is used on that
// strand only. When the client goes away, its deadline passes or the server stops, the handler's
// coroutine is cancelled (Asio terminal cancellation): its pending wait throws operation_aborted,
// which it need not catch.
#pragma once

#include "esdb/authorizer.hpp"
#include "esdb/byte_budget.hpp"
#include "esdb/rpc_status.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <grpcpp/support/byte_buffer.h>
#include <optional>
#include <string>

namespace google::protobuf {
class MessageLite;
}

namespace immortal::esdb {

enum class more : std::uint8_t { no, follows }; // whether another message comes at once

class call {
public:
    virtual ~call() = default;

    [[nodiscard]] virtual const call_headers& headers() const = 0;
    [[nodiscard]] virtual const principal& caller() const = 0;               // as authenticated
    [[nodiscard]] virtual boost::asio::any_io_executor executor() const = 0; // the strand

    // The client's next message; empty when it has finished sending. One read at a time, beside a
    // write. Nothing is read from the network before it is asked for (beyond the HTTP/2 window). A
    // message that does not come in time, or is larger than the method takes, ends the call.
    virtual awaitable<std::optional<grpc::ByteBuffer>> read() = 0;
    // After read() gave nothing, for methods that act on the end of the client's messages: whether
    // the client really finished (true), or broke off, which looks the same to read(). Once, before
    // anything is written.
    virtual awaitable<bool> confirm_end() = 0;
    // Sends a message; comes back when there is room for another (HTTP/2 flow control). One write
    // at a time, beside a read. With more::follows it may wait for the next one to be sent
    // together. False: the client is gone.
    virtual awaitable<bool> write(grpc::ByteBuffer message, more then = more::no) = 0;
    // The last message of the call: sent together with its status, if that is OK. At most once.
    virtual void write_last(grpc::ByteBuffer message) = 0;

    // Whether the method's rule of access lets the caller do what `message` asks for; empty: yes.
    // receive() does it for every message.
    virtual awaitable<std::optional<rpc_status>>
    admit(const google::protobuf::MessageLite& message) = 0;
    // A read that turns out to be a subscription is counted as one from here on. False: there are
    // too many.
    [[nodiscard]] virtual bool begin_lasting() = 0;
    // For what the request makes us hold, on the accounts of the caller.
    [[nodiscard]] virtual shared_charge make_charge() = 0;

    // For what the answer holds until the client has taken it, on accounts of the caller beside
    // those of requests. One for the whole call; the call keeps it to its end. A call that lasts
    // may stand still for as long as its client likes, unless it holds what others wait for.
    [[nodiscard]] virtual shared_charge answer_charge() = 0;

    // A stop waits for what was accepted and for nothing else: see accepted_work. False: the server
    // is stopping, and nothing more is accepted.
    [[nodiscard]] virtual bool begin_work() = 0;
    virtual void end_work() = 0;
};

// From the moment at which a request is complete and will be carried out until it has been. The
// constructor throws operation_aborted when the server is stopping. The call outlives it.
class accepted_work {
public:
    explicit accepted_work(call& accepted);
    ~accepted_work() { call_.end_work(); }
    accepted_work(const accepted_work&) = delete;
    accepted_work& operator=(const accepted_work&) = delete;

private:
    call& call_;
};

// Serves one call; its status is sent to the client with its trailers. `asked` lives until the
// handler has ended. An exception that leaves it (beside cancellation) is logged and becomes
// INTERNAL.
using handler = std::function<awaitable<rpc_status>(call& asked)>;

} // namespace immortal::esdb
