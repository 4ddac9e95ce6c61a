#include "esdb/waiting_messages.hpp"

#include "base/assert.hpp"

#include <utility>

namespace immortal::esdb {

void waiting_messages::add(message_order place, group_message message) {
    const lane_number number = pool_.overtaking() ? message.bucket : 0;
    auto& messages = lanes_[number].messages;
    const auto [where, added] = messages.emplace(place, std::move(message));
    IMMORTAL_ASSERT(added);
    ++size_;
    retries_ += place.rank == message_rank::fresh ? 0 : 1;
    if (where == messages.begin()) {
        list_anew(number);
    }
}

std::optional<delivery> waiting_messages::give(std::optional<message_order> before) {
    const auto number = first_lane();
    const bool next = number && (!before || lanes_.at(*number).messages.begin()->first < *before);
    return next ? std::optional(take_head(*number)) : std::nullopt;
}

std::optional<waiting_messages::lane_number> waiting_messages::first_lane() {
    const auto is_out = [this](lane_number number) {
        ++looks_;
        return out_.contains(lanes_.at(number).messages.begin()->second.id);
    };
    if (!pool_.overtaking()) {
        return lanes_.empty() || pool_.full() || is_out(0) ? std::nullopt
                                                           : std::optional<lane_number>(0);
    }
    while (!offers_.empty()) {
        const auto& lanes = queues_.at(offers_.begin()->second).lanes;
        IMMORTAL_ASSERT(!lanes.empty() && lanes.begin()->first == offers_.begin()->first);
        const lane_number number = lanes.begin()->second;
        if (!is_out(number)) {
            return number;
        }
        list_anew(number); // it went out in another lane
    }
    return std::nullopt;
}

delivery waiting_messages::take_head(lane_number number) {
    auto& messages = lanes_.at(number).messages;
    const auto head = messages.begin();
    const auto holder = pool_.pick(head->second.bucket);
    IMMORTAL_ASSERT(holder.has_value());
    delivery out{*holder, std::move(head->second)};
    --size_;
    retries_ -= head->first.rank == message_rank::fresh ? 0 : 1;
    messages.erase(head);
    const bool first_out = out_.try_emplace(out.message.id).second;
    IMMORTAL_ASSERT(first_out);
    list_anew(number);
    offer_anew(*holder);
    return out;
}

void waiting_messages::give_back(const group_message& message, consumer_id holder) {
    pool_.release(holder, message.bucket);
    const auto freed = out_.extract(message.id);
    IMMORTAL_ASSERT(!freed.empty());
    for (const lane_number number : freed.mapped()) {
        list_anew(number);
    }
    if (pool_.overtaking()) {
        list_anew(message.bucket); // its owner may be another one meanwhile
        offer_anew(holder);
    }
}

std::vector<std::pair<message_order, group_message>> waiting_messages::drain() {
    std::vector<std::pair<message_order, group_message>> out;
    out.reserve(size_);
    for (auto& [number, one] : lanes_) {
        for (auto& [place, message] : one.messages) {
            out.emplace_back(place, std::move(message));
        }
    }
    lanes_.clear();
    queues_.clear();
    offers_.clear();
    size_ = retries_ = 0;
    return out; // that `out_` still names lanes does no harm: an empty one is not listed
}

void waiting_messages::consumers_changed() {
    queues_.clear();
    offers_.clear();
    for (auto& [number, one] : lanes_) {
        one.listed_for = 0;
    }
    for (auto next = lanes_.begin(); next != lanes_.end();) {
        list_anew(next++->first);
    }
}

void waiting_messages::list_anew(lane_number number) {
    const auto found = lanes_.find(number);
    if (found == lanes_.end()) {
        return;
    }
    lane& one = found->second;
    if (one.listed_for != 0) {
        queues_.at(one.listed_for).lanes.erase({one.listed_as, number});
        offer_anew(std::exchange(one.listed_for, 0));
    }
    if (one.messages.empty()) {
        lanes_.erase(found);
        return;
    }
    if (!pool_.overtaking()) {
        return; // the only lane
    }
    const auto& [place, head] = *one.messages.begin();
    if (const auto out = out_.find(head.id); out != out_.end()) {
        out->second.insert(number);
        return;
    }
    const auto owner = pool_.owner_of(number);
    if (owner) {
        one.listed_for = *owner;
        one.listed_as = place;
        queues_[*owner].lanes.emplace(place, number);
        offer_anew(*owner);
    }
}

void waiting_messages::offer_anew(consumer_id id) {
    const auto found = queues_.find(id);
    if (found == queues_.end()) {
        return;
    }
    queue& one = found->second;
    const auto first = one.lanes.empty() || !pool_.has_slot(id)
                           ? std::nullopt
                           : std::optional(one.lanes.begin()->first);
    if (first == one.offered) {
        return;
    }
    if (one.offered) {
        offers_.erase({*one.offered, id});
    }
    if (first) {
        offers_.emplace(*first, id);
    }
    one.offered = first;
}

} // namespace immortal::esdb
