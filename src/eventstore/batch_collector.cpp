#include "eventstore/batch_collector.hpp"

#include <iterator>

namespace immortal::eventstore {

std::vector<recorded_event> batch_collector::add(recorded_event event,
                                                 const std::optional<batch_place>& place) {
    std::vector<recorded_event> out;
    if (waiting() && (!place || place->batch != batch_)) {
        out = flush();
    }
    if (!place) {
        event.last_in_batch = true;
        out.push_back(std::move(event));
        return out;
    }
    batch_ = place->batch;
    event.last_in_batch = false;
    pending_.push_back(std::move(event));
    // The order of streams within an append is the store's business: the number decides.
    if (pending_.size() == place->count) {
        auto whole = flush();
        out.insert(out.end(), std::make_move_iterator(whole.begin()),
                   std::make_move_iterator(whole.end()));
    }
    return out;
}

std::vector<recorded_event> batch_collector::flush() {
    if (waiting()) {
        pending_.back().last_in_batch = true;
    }
    return std::exchange(pending_, {});
}

} // namespace immortal::eventstore
