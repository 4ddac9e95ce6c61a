// What bounds a call in time: its messages on their way in, and its answers on their way out.
#include "base/assert.hpp"
#include "base/log.hpp"
#include "esdb/call_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace immortal::esdb {

// A place at a gate while a read is under way, given back when the message is there.
class call_driver::gate_place {
public:
    explicit gate_place(call_driver& owner) : owner_(owner) {}
    ~gate_place() {
        if (gate_ != nullptr) {
            gate_->leave(owner_.visitor_);
        }
    }
    gate_place(const gate_place&) = delete;
    gate_place& operator=(const gate_place&) = delete;
    void hold(receive_gate* gate) { gate_ = gate; }

private:
    call_driver& owner_;
    receive_gate* gate_ = nullptr;
};

// The first message of anything but a large request comes at once where the client is honest; where
// it is not, the quota bounds it. If it took a place, those who send nothing would shut out those
// who do.
receive_gate* call_driver::gate_of_next() const {
    switch (method_->receives) {
    case intake::large:
        return received_ == 0 ? host_.gate : nullptr;
    case intake::messages:
        return received_ > 0 ? host_.append_gate : nullptr;
    default:
        return nullptr;
    }
}

// Of a method without an end only the first message has a deadline.
std::chrono::milliseconds call_driver::limit_of_next() const {
    const bool payload = received_ > 0 || method_->receives == intake::large;
    return payload ? host_.message_limit : host_.first_message_limit;
}

// One timer for all that the call is waited for: it looks at what is due when it fires, and goes
// on. It does not keep the driver alive.
void call_driver::watch(time_point due) {
    if (watching_ && timer_->expiry() <= due) {
        return;
    }
    watching_ = true;
    timer_->expires_at(due);
    timer_->async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
        const auto self = weak.lock();
        if (!cancelled && self != nullptr) { // else the call is over, or something is due sooner
            self->look_at_deadlines();
        }
    });
}

void call_driver::look_at_deadlines() {
    watching_ = false;
    const auto now = std::chrono::steady_clock::now();
    if (due_ <= now) {
        due_ = time_point::max();
        for (operation* const awaited : {&place_, &read_}) {
            if (auto resume = std::exchange(awaited->resume, nullptr)) {
                late_ = true; // only if it still is awaited: it may have come just now
                resume(false);
                break;
            }
        }
    }
    if (answer_due_ <= now) {
        answer_due_ = time_point::max();
        base::log_debug("esdb", "a client does not take its answer",
                        {{"method", context_.method()}, {"peer", headers_.peer}});
        context_.TryCancel(); // what waits is dropped; a status could not be sent either
    }
    const auto next = std::min(due_, answer_due_);
    if (next != time_point::max()) {
        watch(next);
    }
}

void call_driver::expect_progress() {
    answer_due_ = std::chrono::steady_clock::now() + host_.answer_limit;
    watch(answer_due_);
}

void call_driver::expect_message(std::chrono::milliseconds limit) {
    due_ = std::chrono::steady_clock::now() + limit;
    watch(due_);
}

// Returns with a place; leaves none behind when it throws.
awaitable<void> call_driver::enter_gate(receive_gate& gate) {
    visitor_.login = caller_.name;
    visitor_.granted = [self = shared_from_this()] { self->settle(self->place_, true); };
    if (gate.enter(visitor_)) {
        visitor_.granted = nullptr;
        co_return;
    }
    in_line_ = true;
    expect_message(host_.message_limit);
    place_.outstanding = true;
    std::exception_ptr failed;
    try {
        (void)co_await completion(place_);
    } catch (...) {
        failed = std::current_exception();
    }
    if (failed && !gate.withdraw(visitor_)) {
        gate.leave(visitor_); // the place was granted at that moment
    }
    visitor_.granted = nullptr;
    if (failed) {
        std::rethrow_exception(failed);
    }
    in_line_ = false;
}

awaitable<std::optional<grpc::ByteBuffer>> call_driver::read() {
    std::optional<grpc::ByteBuffer> message;
    {
        gate_place place(*this);
        if (receive_gate* const gate = gate_of_next(); gate != nullptr) {
            co_await enter_gate(*gate);
            place.hold(gate);
        }
        // Waiting in line is not the client's doing: its time begins here.
        if (received_ == 0 || method_->receives == intake::messages) {
            expect_message(limit_of_next());
        }
        incoming_.Clear();
        stream_.Read(&incoming_, begin(read_));
        if (co_await completion(read_)) {
            message = std::move(incoming_);
        }
    }
    due_ = time_point::max();
    ++received_;
    const bool small =
        method_->receives == intake::small || method_->receives == intake::small_messages;
    if (message && small && message->Length() > small_message_max) {
        throw message_refused(
            refusal::too_large(fmt::format("The request has {} bytes; at most {} are taken.",
                                           message->Length(), small_message_max)));
    }
    co_return message;
}

} // namespace immortal::esdb
