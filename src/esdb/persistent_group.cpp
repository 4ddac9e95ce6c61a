#include "esdb/persistent_group.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "eventlog/stream_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace immortal::esdb {
namespace {

std::size_t size_of(const eventstore::recorded_event& event) {
    return event.data.size() + event.metadata.size() + event.stream.size() + event.type.size();
}

std::size_t size_of(const group_message& message) {
    constexpr std::size_t overhead = 512;
    const auto& event = *message.event;
    return overhead + (event.event ? size_of(*event.event) : 0) +
           (event.link ? size_of(*event.link) : 0);
}

std::size_t payload_of(const std::optional<eventstore::recorded_event>& event) {
    return event ? event->data.size() + event->metadata.size() : 0;
}

std::optional<eventstore::recorded_event>
without_payload(const std::optional<eventstore::recorded_event>& whole) {
    if (!whole) {
        return std::nullopt;
    }
    eventstore::recorded_event out;
    out.position = whole->position;
    out.stream = whole->stream;
    out.revision = whole->revision;
    out.id = whole->id;
    out.type = whole->type;
    out.created = whole->created;
    out.format = whole->format;
    return out;
}

message_order order_of(const group_message& message, message_rank rank) {
    return message.parked ? message_order{message_rank::replayed, *message.parked}
                          : message_order{rank, message.place};
}

// The stream an event came from first: of a link, what it points to.
std::string_view source_stream(const eventstore::resolved_event& event) {
    const auto& shown = event.event ? *event.event : *event.link;
    if (shown.type != eventlog::link_type) {
        return shown.stream;
    }
    const std::string_view data = shown.data;
    const auto at = data.find('@');
    return at == std::string_view::npos ? std::string_view(shown.stream) : data.substr(at + 1);
}

std::optional<std::string> correlation_of(const eventstore::resolved_event& event) {
    const auto& shown = event.event ? *event.event : *event.link;
    const auto metadata = base::parse_json(shown.metadata);
    if (!metadata || !metadata->is_object()) {
        return std::nullopt;
    }
    const auto* value = metadata->get_object().if_contains("$correlationId");
    return value != nullptr && value->is_string() ? std::optional(std::string(value->get_string()))
                                                  : std::nullopt;
}

} // namespace

void make_hollow(group_message& message) {
    if (message.let_go > 0) {
        return;
    }
    const eventstore::resolved_event& whole = *message.event;
    // At least one, so that one without bytes keeps its place among the others.
    message.let_go = std::max<std::size_t>(1, payload_of(whole.event) + payload_of(whole.link));
    message.event = std::make_shared<const eventstore::resolved_event>(
        eventstore::resolved_event{without_payload(whole.event), without_payload(whole.link)});
}

std::uint32_t bucket_of(const eventstore::resolved_event& event, consumer_strategy strategy) {
    std::optional<std::string> pin;
    if (strategy == consumer_strategy::pinned_by_correlation) {
        pin = correlation_of(event);
    } else if (strategy != consumer_strategy::pinned) {
        return 0;
    }
    const std::uint64_t hash = base::stable_hash(pin ? *pin : source_stream(event));
    return static_cast<std::uint32_t>(hash % pin_buckets);
}

persistent_group::persistent_group(group_settings settings, std::optional<std::uint64_t> after,
                                   base::steady_time now)
    : settings_(settings), pool_(settings.strategy), waiting_(pool_), last_{.place = after},
      written_{.place = after}, written_at_(now) {
    IMMORTAL_ASSERT(check(settings_).has_value());
}

consumer_id persistent_group::connect(std::size_t slots) {
    const consumer_id id = pool_.add(slots);
    waiting_.consumers_changed();
    latencies_.try_emplace(id);
    return id;
}

bool persistent_group::full() const {
    return settings_.max_subscriber_count > 0 &&
           pool_.size() >= static_cast<std::size_t>(settings_.max_subscriber_count);
}

void persistent_group::disconnect(consumer_id id) {
    std::vector<group_message> held;
    for (auto it = in_flight_.begin(); it != in_flight_.end();) {
        const auto next = std::next(it);
        if (it->second.holder == id) {
            held.push_back(land(it));
        }
        it = next;
    }
    pool_.remove(id);
    waiting_.consumers_changed();
    latencies_.erase(id);
    for (group_message& message : held) {
        try_again(std::move(message));
    }
}

std::size_t persistent_group::room() const {
    const auto most = static_cast<std::size_t>(settings_.history_buffer_size);
    const auto batch = static_cast<std::size_t>(settings_.read_batch_size);
    const std::size_t waiting = waiting_.size() + hollow_.size() + parkings_.size() + parking_;
    if (bytes_held_ >= bytes_held_max || waiting + batch >= most) {
        return 0;
    }
    return most - waiting;
}

group_message persistent_group::make_message(std::uint64_t place,
                                             eventstore::resolved_event event) {
    IMMORTAL_ASSERT(event.event || event.link);
    group_message message;
    message.place = place;
    message.id = event.link ? event.link->id : event.event->id;
    message.bucket = bucket_of(event, settings_.strategy);
    message.event = std::make_shared<const eventstore::resolved_event>(std::move(event));
    bytes_held_ += size_of(message);
    return message;
}

void persistent_group::take(std::uint64_t place, eventstore::resolved_event event) {
    IMMORTAL_ASSERT(!last_.place || place > *last_.place);
    open_.emplace(place, last_);
    last_.place = place;
    ++last_.taken;
    wait(make_message(place, std::move(event)), message_rank::fresh);
}

void persistent_group::skip(std::uint64_t place, std::uint64_t count) {
    if (!last_.place || place > *last_.place) {
        last_.place = place;
    }
    last_.skipped += count;
}

void persistent_group::replay(std::uint64_t number, std::uint64_t place,
                              eventstore::resolved_event event) {
    group_message message = make_message(place, std::move(event));
    message.parked = number;
    const bool added = replayed_.insert(number).second;
    IMMORTAL_ASSERT(added);
    wait(std::move(message), message_rank::replayed);
}

void persistent_group::replayed_to(std::uint64_t end) {
    replay_end_ = std::max(end, replay_end_.value_or(0));
}

std::optional<std::uint64_t> persistent_group::parked_floor() const {
    return replayed_.empty() ? replay_end_ : std::optional(*replayed_.begin());
}

void persistent_group::wait(group_message message, message_rank rank) {
    const message_order place = order_of(message, rank);
    if (message.let_go > 0) {
        hollow_.emplace(place, std::move(message));
    } else {
        waiting_.add(place, std::move(message));
    }
}

std::vector<delivery> persistent_group::push(base::steady_time now) {
    std::vector<delivery> out;
    for (;;) {
        const auto hollow = next_hollow(true); // comes before those behind it
        auto one = waiting_.give(hollow ? std::optional(hollow->order) : std::nullopt);
        if (!one) {
            break;
        }
        const std::uint64_t number = ++deliveries_;
        in_flight_by_age_.emplace(number, one->message.id);
        in_flight_.emplace(one->message.id, flight{one->message, one->to, now, number});
        out.push_back(std::move(*one));
    }
    return out;
}

persistent_group::flights::iterator persistent_group::find_held(consumer_id from,
                                                                const base::uuid& id) {
    const auto found = in_flight_.find(id);
    return found == in_flight_.end() || found->second.holder != from ? in_flight_.end() : found;
}

group_message persistent_group::land(flights::iterator which) {
    const flight landed = std::move(which->second);
    in_flight_by_age_.erase(landed.number);
    in_flight_.erase(which);
    waiting_.give_back(landed.message, landed.holder);
    return landed.message;
}

void persistent_group::ack(consumer_id from, const base::uuid& id, base::steady_time now) {
    const auto found = find_held(from, id);
    if (found == in_flight_.end()) {
        return;
    }
    latencies_.at(from).observe(
        std::chrono::duration_cast<std::chrono::milliseconds>(now - found->second.since));
    settle(land(found));
}

void persistent_group::nack(consumer_id from, const base::uuid& id, nack_action action,
                            std::string reason, base::steady_time now) {
    const auto found = find_held(from, id);
    if (found == in_flight_.end()) {
        return;
    }
    latencies_.at(from).observe(
        std::chrono::duration_cast<std::chrono::milliseconds>(now - found->second.since));
    group_message message = land(found);
    switch (action) {
    case nack_action::retry:
        try_again(std::move(message));
        return;
    case nack_action::park:
        park(std::move(message), "Client explicitly NAK'ed message.\n" + reason);
        return;
    case nack_action::skip:
    case nack_action::stop:
        settle(message);
        return;
    }
}

void persistent_group::expire(base::steady_time now) {
    if (settings_.message_timeout.count() == 0) {
        return;
    }
    while (!in_flight_by_age_.empty()) {
        const auto oldest = in_flight_.find(in_flight_by_age_.begin()->second);
        IMMORTAL_ASSERT(oldest != in_flight_.end());
        if (now - oldest->second.since < settings_.message_timeout) {
            return;
        }
        try_again(land(oldest));
    }
}

void persistent_group::try_again(group_message message) {
    if (message.retry_count >= settings_.max_retry_count) {
        park(std::move(message),
             fmt::format("Reached retry count of {}", settings_.max_retry_count));
        return;
    }
    ++message.retry_count;
    wait(std::move(message), message_rank::retried);
}

void persistent_group::park(group_message message, std::string reason) {
    parkings_.push_back({std::move(message), std::move(reason)});
}

void persistent_group::empty(group_message& message) {
    bytes_held_ -= size_of(message);
    make_hollow(message);
    bytes_held_ += size_of(message);
}

void persistent_group::fill(group_message& message,
                            std::shared_ptr<const eventstore::resolved_event> event) {
    bytes_held_ -= size_of(message);
    message.event = std::move(event);
    message.let_go = 0;
    bytes_held_ += size_of(message);
}

bool persistent_group::refill(consumer_id holder, const base::uuid& id,
                              std::shared_ptr<const eventstore::resolved_event> event) {
    const auto found = find_held(holder, id);
    if (found == in_flight_.end()) {
        return false;
    }
    fill(found->second.message, std::move(event));
    return true;
}

void persistent_group::let_go(consumer_id holder, const base::uuid& id) {
    if (const auto found = find_held(holder, id); found != in_flight_.end()) {
        empty(found->second.message);
    }
}

void persistent_group::let_go_given() {
    for (auto& [id, one] : in_flight_) {
        if (one.message.event.use_count() == 1) { // else it is not sent yet
            empty(one.message);
        }
    }
}

bool persistent_group::let_go_waiting() {
    auto waiting = waiting_.drain();
    // From the last one taken backwards.
    std::ranges::sort(waiting, std::ranges::greater{}, &decltype(waiting)::value_type::first);
    bool fresh_ones = false;
    for (auto& [order, message] : waiting) {
        const bool fresh = order.rank == message_rank::fresh;
        fresh_ones = fresh_ones || fresh;
        if (fresh && open_.rbegin()->first == message.place) {
            bytes_held_ -= size_of(message);
            last_ = open_.rbegin()->second;
            open_.erase(message.place);
            continue;
        }
        empty(message);
        wait(std::move(message), order.rank);
    }
    return fresh_ones;
}

std::optional<persistent_group::hollow> persistent_group::next_hollow(bool deliverable) const {
    if (deliverable && pool_.full()) {
        return std::nullopt;
    }
    for (const auto& [order, message] : hollow_) {
        if (deliverable && pool_.overtaking()) {
            const auto owner = pool_.owner_of(message.bucket);
            if (!owner || !pool_.has_slot(*owner)) {
                continue;
            }
        }
        if (deliverable || order.rank == message_rank::fresh) {
            return hollow{order, message};
        }
    }
    return std::nullopt;
}

void persistent_group::restore(const message_order& order,
                               std::optional<eventstore::resolved_event> event) {
    auto found = hollow_.extract(order);
    if (found.empty()) {
        return;
    }
    group_message message = std::move(found.mapped());
    if (!event) {
        settle(message);
        return;
    }
    fill(message, std::make_shared<const eventstore::resolved_event>(std::move(*event)));
    waiting_.add(order, std::move(message));
}

bool persistent_group::holds_source_back() const {
    return !hollow_.empty() &&
           (hollow_.rbegin()->first.rank == message_rank::fresh || next_hollow(true).has_value());
}

std::vector<parking> persistent_group::take_parkings() {
    parking_ += parkings_.size();
    return std::exchange(parkings_, {});
}

void persistent_group::parked(const group_message& message) {
    IMMORTAL_ASSERT(parking_ > 0);
    --parking_;
    settle(message);
}

void persistent_group::unparked(parking failed) {
    IMMORTAL_ASSERT(parking_ > 0);
    --parking_;
    parkings_.push_back(std::move(failed));
}

void persistent_group::settle(const group_message& message) {
    bytes_held_ -= size_of(message);
    const std::size_t settled =
        message.parked ? replayed_.erase(*message.parked) : open_.erase(message.place);
    IMMORTAL_ASSERT(settled == 1);
}

group_mark persistent_group::settled() const {
    return open_.empty() ? last_ : open_.begin()->second;
}

std::optional<group_mark> persistent_group::checkpoint_due(base::steady_time now) const {
    const group_mark mark = settled();
    if (mark.place == written_.place) {
        return std::nullopt;
    }
    const std::uint64_t taken = mark.taken - written_.taken;
    const auto most = static_cast<std::uint64_t>(std::max(1, settings_.max_checkpoint_count));
    const auto least = static_cast<std::uint64_t>(std::max(1, settings_.min_checkpoint_count));
    const bool timed =
        settings_.checkpoint_after.count() > 0 && now - written_at_ >= settings_.checkpoint_after;
    // Skipped events alone need many: a checkpoint is itself an event that other groups skip.
    const bool due = taken >= most || (timed && taken >= least) ||
                     mark.skipped - written_.skipped >= std::max(most, skipped_mark_min);
    return due ? std::optional(mark) : std::nullopt;
}

std::optional<group_mark> persistent_group::final_checkpoint() const {
    const group_mark mark = settled();
    return mark.taken > written_.taken ? std::optional(mark) : std::nullopt;
}

void persistent_group::checkpoint_written(const group_mark& mark, base::steady_time now) {
    written_ = mark;
    written_at_ = now;
}

} // namespace immortal::esdb
