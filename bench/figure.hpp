// What every benchmark prints: one JSON line per figure, which bench/run collects.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

namespace immortal::bench {

using steady = std::chrono::steady_clock;

// `limit`: what the machine gives at best, measured in the same run; 0: none. `target`: as in the
// promises, for example ">= 43000"; empty: told only.
inline void print_figure(const std::string& name, double value, const std::string& unit,
                         double limit, const std::string& target) {
    std::cout << fmt::format(
                     R"({{"name":"{}","value":{:.4g},"unit":"{}","limit":{:.4g},"target":"{}"}})",
                     name, value, unit, limit, target)
              << std::endl;
}

inline double seconds_since(steady::time_point began) {
    return std::chrono::duration<double>(steady::now() - began).count();
}

// Durations in milliseconds, all kept.
class latencies {
public:
    void add(steady::duration d) {
        ms_.push_back(std::chrono::duration<double, std::milli>(d).count());
    }
    void add_all(const latencies& other) {
        ms_.insert(ms_.end(), other.ms_.begin(), other.ms_.end());
    }
    [[nodiscard]] std::size_t count() const { return ms_.size(); }
    // The smallest value that at least `share` of all do not exceed; 0 of none.
    [[nodiscard]] double quantile(double share) {
        if (ms_.empty()) {
            return 0;
        }
        const auto rank = std::ceil(share * static_cast<double>(ms_.size()));
        const auto at = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
        std::nth_element(ms_.begin(), ms_.begin() + static_cast<std::ptrdiff_t>(at), ms_.end());
        return ms_[at];
    }

private:
    std::vector<double> ms_;
};

} // namespace immortal::bench
