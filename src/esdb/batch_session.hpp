// One BatchAppend call: chunks of many batches come in, interleaved; answers go out in the order in
// which the batches are done.
#pragma once

#include "esdb/append_account.hpp"
#include "esdb/call.hpp"
#include "esdb/service_context.hpp"
#include "esproto/wire/streams.pb.h"
#include "runtime/async_event.hpp"

#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <string>

namespace immortal::esdb {

// Used on the call's strand only, but for the members' own promises. Bounds: batches_max batches
// that are unfinished or not yet answered, of append_size_max bytes each, and of all calls together
// the context's memory; beyond the first nothing is read until something is answered.
class batch_session : public std::enable_shared_from_this<batch_session> {
public:
    batch_session(const service_context& context, call& asked);

    // Until the client has finished and every complete batch is answered, or the call is cancelled.
    // What it started has ended when it ends.
    static awaitable<rpc_status> run(std::shared_ptr<batch_session> self);

    static constexpr std::size_t batches_max = 1'024;

private:
    using request = ::event_store::client::streams::BatchAppendReq;
    using response = ::event_store::client::streams::BatchAppendResp;

    struct batch {
        batch(append_account charged, boost::asio::any_io_executor executor)
            : account(std::move(charged)), deadline(std::move(executor)) {}
        base::uuid id;
        ::event_store::client::UUID wire_id; // in the form the client used
        eventstore::stream_write write;
        std::int64_t expected = 0;
        append_account account;
        boost::asio::steady_timer deadline;
        std::chrono::steady_clock::time_point due;
    };
    using batch_pointer = std::shared_ptr<batch>;

    awaitable<rpc_status> receive_all();
    awaitable<void> write_answers();
    awaitable<void> append(batch_pointer complete, std::unique_ptr<accepted_work> work);
    awaitable<response> outcome_of(batch& complete);

    awaitable<void> take(request chunk);
    awaitable<batch_pointer> begin(request& chunk);
    bool add_events(batch& into, request& chunk);
    void watch_deadline(const batch_pointer& pending);
    void fail(const batch& pending, ::google::rpc::Status status);
    void answer(response message);
    void spawn(awaitable<void> child);

    const service_context& context_;
    call& call_;
    std::map<base::uuid, batch_pointer> unfinished_;
    std::deque<response> answers_;
    std::size_t appending_ = 0;
    std::size_t children_ = 0;
    bool closed_ = false; // no more answers will come: the writer may end
    bool gone_ = false;   // answers reach nobody
    runtime::async_event changed_;
};

} // namespace immortal::esdb
