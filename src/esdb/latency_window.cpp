#include "esdb/latency_window.hpp"

#include <algorithm>
#include <numeric>

namespace immortal::esdb {

void latency_window::observe(std::chrono::milliseconds taken) {
    if (taken_.size() < size_max) {
        taken_.push_back(taken.count());
    } else {
        taken_[next_] = taken.count();
    }
    next_ = (next_ + 1) % size_max;
}

std::vector<std::pair<std::string, std::int64_t>> latency_window::measurements() const {
    std::vector<std::int64_t> sorted = taken_;
    std::ranges::sort(sorted);
    const auto count = static_cast<std::int64_t>(sorted.size());
    // The smallest value that `permille` of all do not exceed.
    const auto at = [&](std::int64_t permille) -> std::int64_t {
        if (sorted.empty()) {
            return 0;
        }
        const std::int64_t rank = std::max<std::int64_t>(1, (permille * count + 999) / 1000);
        return sorted[static_cast<std::size_t>(rank - 1)];
    };
    const std::int64_t sum = std::accumulate(sorted.begin(), sorted.end(), std::int64_t{0});
    return {{"Mean", count == 0 ? 0 : sum / count},
            {"Median", at(500)},
            {"Fastest", at(0)},
            {"Quintile 1", at(200)},
            {"Quintile 2", at(400)},
            {"Quintile 3", at(600)},
            {"Quintile 4", at(800)},
            {"Quintile 5", at(1000)},
            {"90%", at(900)},
            {"95%", at(950)},
            {"99%", at(990)},
            {"99.5%", at(995)},
            {"99.9%", at(999)},
            {"Highest", at(1000)}};
}

} // namespace immortal::esdb
