// What bounds a call in time: its messages on their way in, and its answers on their way out.
#include "base/assert.hpp"
#include "base/log.hpp"
#include "esdb/call_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace immortal::esdb {

namespace {

constexpr std::chrono::milliseconds look_interval{250};    // at what comes in without a place
constexpr std::chrono::milliseconds still_interval{5'000}; // at subscriptions that stand still
// What a connection may hold before anybody is charged: a window that nobody reads, frames that
// belong to no message.
constexpr std::uint64_t free_bytes = 1u << 20;
constexpr std::size_t window_bytes = 256u << 10; // of a message that nobody has asked for

} // namespace

// One read. A large message may have a place at the gate, for a moment after it was asked for: most
// come in as a whole in that time, and who sends nothing holds up nobody for longer. What comes
// without a place is measured, and charged.
class call_driver::incoming_read {
public:
    explicit incoming_read(call_driver& owner) : owner_(owner) { owner.incoming_read_ = this; }
    ~incoming_read() {
        leave_gate();
        if (measured_) {
            owner_.connection_->change_reads(-1, 0);
            owner_.incoming_charge_.reset();
        }
        owner_.look_due_ = time_point::max();
        owner_.incoming_read_ = nullptr;
    }
    incoming_read(const incoming_read&) = delete;
    incoming_read& operator=(const incoming_read&) = delete;

    // `gate`: where there is a place for it; null: there is none.
    void begin(receive_gate* gate) {
        gate_ = gate;
        metered_connection* const connection = owner_.connection_.get();
        const auto old = connection == nullptr ? std::nullopt : connection->lately_unexplained();
        if (old) {
            owner_.old_bytes_ = *old;
            owner_.look_due_ = std::chrono::steady_clock::now() + look_interval;
            owner_.watch(owner_.look_due_);
        }
        if (gate != nullptr && connection != nullptr) {
            connection->change_reads(0, 1);
        } else if (gate == nullptr && old) {
            measure();
        }
    }
    // It has had its moment. A connection that is not measured keeps the place.
    void give_up_place() {
        if (gate_ != nullptr) {
            leave_gate();
            measure();
        }
    }

private:
    void measure() {
        measured_ = true;
        owner_.connection_->change_reads(1, 0);
    }
    void leave_gate() {
        receive_gate* const gate = std::exchange(gate_, nullptr);
        if (gate == nullptr) {
            return;
        }
        gate->leave(owner_.visitor_);
        if (owner_.connection_ != nullptr) {
            owner_.connection_->change_reads(0, -1);
        }
    }

    call_driver& owner_;
    receive_gate* gate_ = nullptr; // that it has a place at
    bool measured_ = false;
};

receive_gate* call_driver::gate_of_next() const {
    const bool large = method_->receives == intake::large_messages ||
                       (method_->receives == intake::large && received_ == 0);
    return large ? host_.gate : nullptr;
}

bool call_driver::is_next_payload() const {
    return method_->receives == intake::large || method_->receives == intake::large_messages ||
           (method_->receives == intake::messages && received_ > 0);
}

// Of a method without an end only the first message has a deadline.
bool call_driver::is_next_timed() const {
    return received_ == 0 || is_next_payload();
}

std::chrono::milliseconds call_driver::limit_of_next() const {
    const bool payload = received_ > 0 || is_next_payload();
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
        incoming_read_->give_up_place();
        look_at_incoming();
    }
    if (answer_due_ <= now) {
        look_at_answer();
    }
    const auto next = std::min({due_, answer_due_, look_due_});
    if (next != time_point::max()) {
        watch(next);
    }
}

bool call_driver::may_stand_still() const {
    return lasts_ && !(answer_charge_ != nullptr && answer_charge_->is_wanted());
}

void call_driver::look_at_answer() {
    if (may_stand_still()) {
        answer_due_ =
            std::chrono::steady_clock::now() + std::min(host_.answer_limit, still_interval);
        return;
    }
    answer_due_ = time_point::max();
    base::log_debug("esdb", "a client does not take its answer",
                    {{"method", context_.method()}, {"peer", headers_.peer}});
    drop_unread(refusal::too_late(
        fmt::format("The client took nothing of the answer for {} ms (esdb.answer_timeout_ms): "
                    "take it sooner, or read less at once.",
                    host_.answer_limit.count())));
}

// What came for a call and was never read as a message.
void call_driver::explain_rest(const rpc_status& status) {
    if (connection_ == nullptr || (received_ > 0 && !read_.outstanding && status.is_ok())) {
        return;
    }
    std::size_t rest = window_bytes;
    if (read_.outstanding && is_next_payload()) {
        const std::uint64_t told = connection_->unexplained().value_or(0);
        const std::uint64_t grown = told - std::min(told, old_bytes_);
        rest = std::max<std::size_t>(rest, std::min<std::uint64_t>(grown, host_.message_size_max));
    }
    connection_->explain(rest);
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
    const bool unlimited = !is_next_timed();
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
    visitor_.caller = caller_.name + '\n' + address_of_peer(headers_.peer);
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
        incoming_read reading(*this);
        receive_gate* const gate = gate_of_next();
        if (gate != nullptr) {
            co_await enter_gate(*gate);
        }
        reading.begin(gate);
        // Waiting in line is not the client's doing: its time begins here.
        if (is_next_timed()) {
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
