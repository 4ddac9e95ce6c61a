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
    const std::size_t waiting = waiting_.size() + parkings_.size() + parking_;
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
    const message_order place = message.parked
                                    ? message_order{message_rank::replayed, *message.parked}
                                    : message_order{rank, message.place};
    waiting_.add(place, std::move(message));
}

std::vector<delivery> persistent_group::push(base::steady_time now) {
    std::vector<delivery> out;
    while (auto one = waiting_.give()) {
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
