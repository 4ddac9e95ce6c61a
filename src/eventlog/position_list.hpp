// A growing list of ascending positions that never moves what it holds: the first 4,096 in a small
// vector, the rest in chunks.
#pragma once

#include "base/assert.hpp"
#include "base/ids.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace immortal::eventlog {

class position_list {
public:
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] base::position operator[](std::uint64_t at) const {
        return at < chunk_size ? first_[at] : (*chunks_[at / chunk_size - 1])[at % chunk_size];
    }
    [[nodiscard]] base::position back() const { return (*this)[size_ - 1]; }

    void push_back(base::position value) {
        IMMORTAL_ASSERT(size_ == 0 || value > back());
        if (size_ < chunk_size) {
            first_.push_back(value);
        } else {
            if (size_ % chunk_size == 0) {
                chunks_.push_back(std::make_unique<chunk>());
            }
            (*chunks_.back())[size_ % chunk_size] = value;
        }
        ++size_;
    }

    void pop_back() {
        IMMORTAL_ASSERT(size_ > 0);
        --size_;
        if (size_ < chunk_size) {
            first_.pop_back();
        } else if (size_ % chunk_size == 0) {
            chunks_.pop_back();
        }
    }

    // How many are before `end`. Fast when few are not.
    [[nodiscard]] std::uint64_t count_before(base::position end) const {
        std::uint64_t high = size_;
        std::uint64_t step = 1;
        while (high > 0 && (*this)[high - 1] >= end) {
            high = high > step ? high - step : 0;
            step *= 2;
        }
        std::uint64_t low = high;
        high = std::min(size_, high + step);
        while (low < high) {
            const std::uint64_t middle = low + (high - low) / 2;
            if ((*this)[middle] < end) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

private:
    static constexpr std::uint64_t chunk_size = 4096;
    using chunk = std::array<base::position, chunk_size>;
    std::vector<base::position> first_;
    std::vector<std::unique_ptr<chunk>> chunks_;
    std::uint64_t size_ = 0;
};

} // namespace immortal::eventlog
