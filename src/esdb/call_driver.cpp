#include "esdb/call_driver.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "esdb/message_parts.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include <exception>
#include <grpc/grpc.h>
#include <set>
#include <string_view>
#include <utility>

namespace immortal::esdb {

namespace asio = boost::asio;

namespace {

// Of a call, with all that is neither message nor header.
constexpr std::size_t frames_bytes = 1'024;

// What the headers of a call can have taken on the connection. HTTP/2 has short names for what it
// has seen, up to a table of 4 KiB: beyond that, what is told twice counts once.
template <typename Metadata>
std::size_t bytes_of(const Metadata& all) {
    constexpr std::size_t table_bytes = 4'096;
    std::size_t bytes = 0;
    for (const auto& [name, value] : all) {
        bytes += name.size() + value.size();
    }
    if (bytes <= table_bytes) {
        return bytes;
    }
    std::set<std::pair<std::string_view, std::string_view>> seen;
    bytes = 0;
    for (const auto& [name, value] : all) {
        if (seen.emplace(std::string_view(name.data(), name.size()),
                         std::string_view(value.data(), value.size()))
                .second) {
            bytes += name.size() + value.size();
        }
    }
    return bytes;
}

std::string text_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "unknown exception";
    }
}

} // namespace

call_driver::call_driver(call_host& host)
    : host_(host), strand_(asio::make_strand(host.executor)) {}

call_driver::~call_driver() {
    // What belongs to the ledger and to the engine ends before the server may think that all has.
    answer_charge_.reset();
    entry_.reset();
    timer_.reset();
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
    host_.arrived(shared_from_this());
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

void call_driver::stop() {
    asio::post(strand_, [self = shared_from_this()] {
        const bool lasts = self->method_ != nullptr && self->method_->lasting == duration::lasts;
        if ((lasts || self->working_ == 0) && !self->ended_) {
            self->stopping_ = true;
            self->cancel_.emit(asio::cancellation_type::terminal);
        }
    });
}

void call_driver::cut_off() {
    asio::post(strand_, [self = shared_from_this()] {
        if (!self->ended_) {
            self->stopping_ = true;
            self->cancel_.emit(asio::cancellation_type::terminal);
        }
        if (self->write_.outstanding || self->finishing_) {
            self->drop_unread(refusal::not_ready());
        }
    });
}

void call_driver::drop_unread(const rpc_status& status) {
    // The one way past a message that the client does not take. TryCancel() would tell the client
    // that the call was cancelled, and official clients connect again only when it was unavailable.
    (void)grpc_call_cancel_with_status(context_.c_call(),
                                       static_cast<grpc_status_code>(status.code),
                                       status.message.c_str(), nullptr);
}

bool call_driver::begin_work() {
    if (!host_.work_begun()) {
        stopping_ = true;
        return false;
    }
    ++working_;
    return true;
}

void call_driver::end_work() {
    IMMORTAL_ASSERT(working_ > 0);
    --working_;
    host_.work_ended();
}

accepted_work::accepted_work(call& accepted) : call_(accepted) {
    if (!accepted.begin_work()) {
        throw boost::system::system_error(asio::error::operation_aborted);
    }
}

void call_driver::read_finished(bool ok) {
    settle(read_, ok);
}

void call_driver::write_finished(bool ok) {
    settle(write_, ok);
}

void call_driver::finish_finished(bool /*ok*/) {} // the tag was what kept the driver

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
    if (connection_ != nullptr) {
        connection_->explain_answer(message.Length());
    }
    if (!lasts_ || (answer_charge_ != nullptr && answer_charge_->held() > 0)) {
        expect_progress();
    }
    stream_.Write(message, options, begin(write_));
    const bool written = co_await completion(write_);
    answer_due_ = time_point::max();
    co_return written;
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
    connection_ = host_.meter->find(headers_.peer);
    if (connection_ != nullptr) {
        connection_->explain(frames_bytes + bytes_of(context_.client_metadata()));
    }
    headers_.authority = context_.host();
    const auto certificate = context_.auth_context();
    if (certificate != nullptr && certificate->IsPeerAuthenticated()) {
        const auto names = certificate->FindPropertyValues("x509_common_name");
        if (!names.empty()) {
            headers_.certificate_name.assign(names.front().data(), names.front().size());
        }
    }
}

rpc_status call_driver::denied(const base::error& error) const {
    const auto denial = method_->access.denial;
    return denial != nullptr ? denial(error, error.field, caller_) : to_status(error, error.field);
}

// Empty: go on.
awaitable<std::optional<rpc_status>> call_driver::let_in() {
    entry_ = host_.callers->open(address_of_peer(headers_.peer), method_->kind);
    if (!entry_) {
        co_return refusal::too_busy();
    }
    auto who = co_await host_.rules->authenticate(headers_);
    if (!who) {
        co_return to_status(who.error(), "");
    }
    caller_ = std::move(*who);
    if (!entry_->identify(caller_.name)) {
        co_return refusal::too_busy();
    }
    const auto allowed = co_await may_call(*host_.rules, method_->access, caller_);
    co_return allowed ? std::nullopt : std::optional(denied(allowed.error()));
}

awaitable<std::optional<rpc_status>>
call_driver::admit(const google::protobuf::MessageLite& message) {
    if (method_->access.what != access_rule::kind::streams) {
        co_return std::nullopt;
    }
    stream_needs needs = method_->access.needs(message);
    if (needs.empty()) {
        co_return std::nullopt;
    }
    const auto allowed = co_await has_rights(*host_.rules, caller_, std::move(needs));
    co_return allowed ? std::nullopt : std::optional(denied(allowed.error()));
}

bool call_driver::begin_lasting() {
    lasts_ = entry_->turn(call_kind::lasting);
    return lasts_;
}

shared_charge call_driver::make_charge() {
    return entry_->make_charge();
}

shared_charge call_driver::answer_charge() {
    if (answer_charge_ == nullptr) {
        answer_charge_ = entry_->make_answer_charge();
    }
    return answer_charge_;
}

awaitable<rpc_status> call_driver::serve() {
    read_headers();
    method_ = host_.methods->find(context_.method());
    if (method_ == nullptr) {
        co_return rpc_status{grpc::StatusCode::UNIMPLEMENTED, "The method is not implemented."};
    }
    lasts_ = method_->kind == call_kind::lasting;
    if (auto refused = co_await let_in()) {
        co_return std::move(*refused);
    }
    co_return co_await method_->serve(*this);
}

// What an exception means that ended the handler; empty: it was not foreseen. Two coroutines of one
// handler that are cancelled together end with one exception about both.
std::optional<rpc_status> call_driver::status_of_failure(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const message_refused& refused) {
        return refused.status;
    } catch (const asio::multiple_exceptions& several) {
        return status_of_failure(several.first_exception());
    } catch (const boost::system::system_error& e) {
        if (e.code() != asio::error::operation_aborted) {
            return std::nullopt;
        }
        if (stopping_) {
            return refusal::not_ready();
        }
        if (gone_) {
            return rpc_status{grpc::StatusCode::CANCELLED, "The call is cancelled."};
        }
        if (late_ && in_line_) {
            return refusal::too_busy();
        }
        if (late_) {
            return refusal::too_late(
                fmt::format("The {} message of the request did not come as a whole within {} ms.",
                            received_ == 0 ? "first" : "next", limit_of_next().count()));
        }
        return std::nullopt;
    } catch (...) {
        return std::nullopt;
    }
}

awaitable<rpc_status> call_driver::serve_guarded() {
    std::exception_ptr failure;
    try {
        rpc_status status = co_await serve();
        co_return stopping_&& status.is_ok() ? refusal::not_ready() : std::move(status);
    } catch (...) {
        failure = std::current_exception();
    }
    if (auto status = status_of_failure(failure)) {
        co_return std::move(*status);
    }
    base::log_error("esdb", "a handler ended with an exception",
                    {{"method", context_.method()}, {"what", text_of(failure)}});
    co_return refusal::failed();
}

awaitable<void> call_driver::run() {
    rpc_status status = co_await serve_guarded();
    if (method_ != nullptr) {
        explain_rest(status);
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    due_ = time_point::max();
    lasts_ = false;
    if (last_ && last_->Length() > unlooked_bytes_max && !answer_charge()->grow(last_->Length())) {
        last_.reset();
        status = refusal::too_busy();
    }
    if (write_.outstanding) { // a cancelled handler left it; gRPC wants it ended first
        expect_progress();
        (void)co_await completion(write_);
    }
    finish(std::move(status));
}

void call_driver::finish(rpc_status status) {
    for (const auto& [key, value] : status.trailers) {
        context_.AddTrailingMetadata(key, key.ends_with("-bin") ? value : printable(value));
    }
    const grpc::Status ending(status.code, status.message);
    finishing_ = true;
    if (begun_ || last_) {
        expect_progress();
    }
    if (last_ && status.is_ok()) {
        stream_.WriteAndFinish(*last_, grpc::WriteOptions(), ending, begin(finish_));
    } else {
        stream_.Finish(ending, begin(finish_));
    }
}

} // namespace immortal::esdb
