// How long a consumer's last answers took: the extra statistics of a connection. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace immortal::esdb {

class latency_window {
public:
    static constexpr std::size_t size_max = 1000; // answers remembered

    void observe(std::chrono::milliseconds taken);
    // Names as the protocol has them ("Mean", "Median", "Fastest", "Quintile 1" ... "Highest") and
    // milliseconds; all 0 before the first answer.
    [[nodiscard]] std::vector<std::pair<std::string, std::int64_t>> measurements() const;

private:
    std::vector<std::int64_t> taken_; // a ring once it is full
    std::size_t next_ = 0;
};

} // namespace immortal::esdb
