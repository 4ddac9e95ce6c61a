#include "esdb/call_driver.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <utility>

namespace immortal::esdb {

namespace asio = boost::asio;

call_driver::call_driver(call_host& host)
    : host_(host), strand_(asio::make_strand(host.executor)) {}

call_driver::~call_driver() {
    host_.destroyed(this);
}

void* call_driver::begin(operation& op) {
    IMMORTAL_ASSERT(!op.outstanding);
    op.outstanding = true;
    op.held = shared_from_this();
    op.handover.store(1, std::memory_order_release);
    return &op;
}

void call_driver::complete(void* tag, bool ok) {
    auto& op = *static_cast<operation*>(tag);
    (void)op.handover.load(std::memory_order_acquire);
    const std::shared_ptr<call_driver> owner = std::move(op.held);
    (*owner.*op.finished)(ok);
}

void call_driver::settle(operation& op, bool ok) {
    asio::post(strand_, [self = shared_from_this(), &op, ok] {
        op.outstanding = false;
        op.ok = ok;
        if (auto resume = std::exchange(op.resume, nullptr)) {
            resume(true);
        }
    });
}

void call_driver::resume_cancelled(operation& op, std::uint64_t wait) {
    // Not from within the signal: the coroutine would replace the handler that is running. By the
    // time this runs the coroutine may wait for the same operation again, uncancelled.
    asio::post(strand_, [self = shared_from_this(), &op, wait] {
        if (op.wait != wait) {
            return;
        }
        if (auto resume = std::exchange(op.resume, nullptr)) {
            resume(false);
        }
    });
}

awaitable<bool> call_driver::completion(operation& op) {
    const bool done = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
        [this, &op](auto handler) {
            const auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            auto slot = asio::get_associated_cancellation_slot(*shared);
            ++op.wait;
            if (slot.is_connected()) {
                slot.assign([this, &op, wait = op.wait](asio::cancellation_type) {
                    resume_cancelled(op, wait);
                });
            }
            op.resume = [shared](bool finished) { std::move (*shared)(finished); };
        },
        asio::use_awaitable);
    if (!done) {
        throw boost::system::system_error(asio::error::operation_aborted);
    }
    co_return op.ok;
}

void call_driver::request() {
    context_.AsyncNotifyWhenDone(begin(done_));
    host_.service->RequestCall(&context_, &stream_, host_.queue.get(), host_.queue.get(),
                               begin(request_));
}

void call_driver::request_finished(bool ok) {
    if (!ok) { // the server is shut down; the other tag does not come back then
        done_.held.reset();
        return;
    }
    refused_ = !host_.arrived(shared_from_this());
    asio::post(strand_, [self = shared_from_this()] {
        asio::co_spawn(
            self->strand_, self->run(),
            asio::bind_cancellation_slot(self->cancel_.slot(), [self](std::exception_ptr failed) {
                self->ended_ = true;
                IMMORTAL_ASSERT(failed == nullptr);
            }));
    });
}

void call_driver::client_done(bool /*ok*/) {
    if (!context_.IsCancelled()) {
        return;
    }
    asio::post(strand_, [self = shared_from_this()] {
        self->gone_ = true;
        if (!self->ended_) {
            self->cancel_.emit(asio::cancellation_type::terminal);
        }
    });
}

void call_driver::stop(bool all) {
    asio::post(strand_, [self = shared_from_this(), all] {
        const bool wanted =
            all || (self->method_ != nullptr && self->method_->lasting == duration::lasts);
        if (wanted && !self->ended_) {
            self->stopping_ = true;
            self->cancel_.emit(asio::cancellation_type::terminal);
        }
    });
}

void call_driver::read_finished(bool ok) {
    settle(read_, ok);
}

void call_driver::write_finished(bool ok) {
    settle(write_, ok);
}

void call_driver::finish_finished(bool /*ok*/) {} // the tag was what kept the driver

awaitable<std::optional<grpc::ByteBuffer>> call_driver::read() {
    incoming_.Clear();
    stream_.Read(&incoming_, begin(read_));
    if (!co_await completion(read_)) {
        co_return std::nullopt;
    }
    co_return std::move(incoming_);
}

awaitable<bool> call_driver::confirm_end() {
    // Sending the headers fails on a stream that was reset, and a reset closes both directions of a
    // stream at once: this cannot come before the news that ended the read.
    stream_.SendInitialMetadata(begin(write_));
    begun_ = true;
    co_return co_await completion(write_) && !gone_;
}

awaitable<bool> call_driver::write(grpc::ByteBuffer message, more then) {
    if (gone_) {
        co_return false;
    }
    grpc::WriteOptions options;
    // Never the first one: gRPC would keep the headers with it, and not answer before both are out.
    if (then == more::follows && begun_) {
        options.set_buffer_hint();
    }
    begun_ = true;
    stream_.Write(message, options, begin(write_));
    co_return co_await completion(write_);
}

void call_driver::write_last(grpc::ByteBuffer message) {
    IMMORTAL_ASSERT(!last_);
    last_ = std::move(message);
}

void call_driver::read_headers() {
    const auto text = [this](const char* key) {
        const auto& all = context_.client_metadata();
        const auto found = all.find(key);
        return found == all.end() ? std::string()
                                  : std::string(found->second.data(), found->second.size());
    };
    headers_.authorization = text("authorization");
    headers_.connection_name = text("connection-name");
    headers_.requires_leader = text("requires-leader") == "true";
    headers_.peer = context_.peer();
    headers_.authority = context_.host();
    const auto certificate = context_.auth_context();
    if (certificate != nullptr && certificate->IsPeerAuthenticated()) {
        const auto names = certificate->FindPropertyValues("x509_common_name");
        if (!names.empty()) {
            headers_.certificate_name.assign(names.front().data(), names.front().size());
        }
    }
}

awaitable<rpc_status> call_driver::serve() {
    if (refused_) {
        co_return refusal::too_busy();
    }
    method_ = host_.methods->find(context_.method());
    if (method_ == nullptr) {
        co_return rpc_status{grpc::StatusCode::UNIMPLEMENTED, "The method is not implemented."};
    }
    read_headers();
    auto who = co_await host_.rules->authenticate(headers_);
    if (!who) {
        co_return to_status(who.error(), "");
    }
    caller_ = std::move(*who);
    co_return co_await method_->serve(*this);
}

awaitable<rpc_status> call_driver::serve_guarded() {
    std::string what = "unknown exception";
    try {
        rpc_status status = co_await serve();
        co_return stopping_&& status.is_ok() ? refusal::not_ready() : std::move(status);
    } catch (const boost::system::system_error& e) {
        if (e.code() == asio::error::operation_aborted && (stopping_ || gone_)) {
            co_return stopping_ ? refusal::not_ready()
                                : rpc_status{grpc::StatusCode::CANCELLED, "The call is cancelled."};
        }
        what = e.what();
    } catch (const std::exception& e) {
        what = e.what();
    } catch (...) { // `what` says so already
    }
    base::log_error("esdb", "a handler ended with an exception",
                    {{"method", context_.method()}, {"what", what}});
    co_return refusal::unknown("Exception was thrown by handler.");
}

awaitable<void> call_driver::run() {
    rpc_status status = co_await serve_guarded();
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (write_.outstanding) { // a cancelled handler left it; gRPC wants it ended first
        (void)co_await completion(write_);
    }
    finish(std::move(status));
}

void call_driver::finish(rpc_status status) {
    for (const auto& [key, value] : status.trailers) {
        context_.AddTrailingMetadata(key, key.ends_with("-bin") ? value : printable(value));
    }
    const grpc::Status ending(status.code, status.message);
    if (last_ && status.is_ok()) {
        stream_.WriteAndFinish(*last_, grpc::WriteOptions(), ending, begin(finish_));
    } else {
        stream_.Finish(ending, begin(finish_));
    }
}

} // namespace immortal::esdb
