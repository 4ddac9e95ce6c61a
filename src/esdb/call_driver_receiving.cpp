// What bounds a call in time: its messages on their way in, and its answers on their way out.
#include "base/assert.hpp"
#include "base/log.hpp"
#include "esdb/call_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace immortal::esdb {

namespace {

constexpr std::chrono::milliseconds look_interval{250}; // at what comes in without a place
// What a connection may hold before anybody is charged: a window that nobody reads, frames that
// belong to no message.
constexpr std::uint64_t free_bytes = 1u << 20;
constexpr std::size_t window_bytes = 256u << 10; // of a message that nobody has asked for

} // namespace

// A place at a gate while a read is under way, given back when the message is there.
class call_driver::gate_place {
public:
    explicit gate_place(call_driver& owner) : owner_(owner) {}
    ~gate_place() {
        if (gate_ != nullptr) {
            gate_->leave(owner_.visitor_);
            if (owner_.connection_ != nullptr) {
                owner_.connection_->change_reads(0, -1);
            }
        }
    }
    gate_place(const gate_place&) = delete;
    gate_place& operator=(const gate_place&) = delete;
    void hold(receive_gate* gate) {
        gate_ = gate;
        if (owner_.connection_ != nullptr) {
            owner_.connection_->change_reads(0, 1);
        }
    }

private:
    call_driver& owner_;
    receive_gate* gate_ = nullptr;
};

// A read without a place: what its connection carries meanwhile is measured, and charged.
class call_driver::measured_read {
public:
    explicit measured_read(call_driver& owner) : owner_(owner) {}
    ~measured_read() {
        if (begun_) {
            owner_.connection_->change_reads(-1, 0);
            owner_.look_due_ = time_point::max();
            owner_.incoming_charge_.reset();
        }
    }
    measured_read(const measured_read&) = delete;
    measured_read& operator=(const measured_read&) = delete;
    void begin() {
        const auto old =
            owner_.connection_ == nullptr ? std::nullopt : owner_.connection_->unexplained();
        if (!old) {
            return;
        }
        begun_ = true;
        owner_.connection_->change_reads(1, 0);
        owner_.old_bytes_ = *old;
        owner_.look_due_ = std::chrono::steady_clock::now() + look_interval;
        owner_.watch(owner_.look_due_);
    }

private:
    call_driver& owner_;
    bool begun_ = false;
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
    case intake::large_messages:
        return host_.append_gate;
    default:
        return nullptr;
    }
}

// Of a method without an end only the first message has a deadline.
std::chrono::milliseconds call_driver::limit_of_next() const {
    const bool payload = received_ > 0 || method_->receives == intake::large ||
                         method_->receives == intake::large_messages;
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
        end_wait();
    }
    if (look_due_ <= now) {
        look_due_ = now + look_interval;
        look_at_incoming();
    }
    if (answer_due_ <= now) {
        answer_due_ = time_point::max();
        base::log_debug("esdb", "a client does not take its answer",
                        {{"method", context_.method()}, {"peer", headers_.peer}});
        context_.TryCancel(); // what waits is dropped; a status could not be sent either
    }
    const auto next = std::min({due_, answer_due_, look_due_});
    if (next != time_point::max()) {
        watch(next);
    }
}

// What came for a call and was never read as a message.
void call_driver::explain_rest(const rpc_status& status) {
    if (connection_ == nullptr || (received_ > 0 && !read_.outstanding && status.is_ok())) {
        return;
    }
    const bool gated = read_.outstanding && gate_of_next() != nullptr;
    connection_->explain(gated ? host_.message_size_max : window_bytes);
}

void call_driver::end_wait() {
    for (operation* const awaited : {&place_, &read_}) {
        if (auto resume = std::exchange(awaited->resume, nullptr)) {
            late_ = true; // only if it still is awaited: it may have come just now
            resume(false);
            return;
        }
    }
}

// A message that may come at any time has a deadline from when it begins. Reads of one connection
// share what cannot be told apart.
void call_driver::look_at_incoming() {
    const auto told = connection_->unexplained();
    if (!told) {
        return; // the connection is closed: gRPC will say so
    }
    old_bytes_ = std::min(old_bytes_, *told);
    const auto reads = connection_->reads_under_way();
    const std::uint64_t others = reads.gated > 0 ? host_.message_size_max : 0;
    const std::uint64_t grown = *told - old_bytes_;
    const bool unlimited = received_ > 0;
    if (grown <= free_bytes + others) {
        if (incoming_charge_ != nullptr && unlimited) {
            due_ = time_point::max();
        }
        incoming_charge_.reset();
        return;
    }
    // While as much is delivered as is held, it is another message each time.
    const bool begins =
        incoming_charge_ == nullptr || reads.delivered - delivered_ >= grown - others;
    if (incoming_charge_ == nullptr) {
        incoming_charge_ = entry_->make_charge();
    }
    if (begins) {
        delivered_ = reads.delivered;
        due_ = unlimited ? std::chrono::steady_clock::now() + host_.message_limit : due_;
    }
    const auto share = (grown - others) / std::max<std::size_t>(1, reads.measured);
    if (share > incoming_charge_->held() &&
        !incoming_charge_->grow(share - incoming_charge_->held())) {
        in_line_ = true;
        end_wait();
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
        measured_read measured(*this);
        if (receive_gate* const gate = gate_of_next(); gate != nullptr) {
            co_await enter_gate(*gate);
            place.hold(gate);
        } else {
            measured.begin();
        }
        // Waiting in line is not the client's doing: its time begins here.
        if (received_ == 0 || method_->receives == intake::messages ||
            method_->receives == intake::large_messages) {
            expect_message(limit_of_next());
        }
        incoming_.Clear();
        stream_.Read(&incoming_, begin(read_));
        if (co_await completion(read_)) {
            message = std::move(incoming_);
            if (connection_ != nullptr) {
                connection_->explain_message(message->Length());
            }
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
