// Durations in buckets of about 3 %: constant memory however many there are.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

namespace immortal::app {

// Not thread-safe: one for each worker, merged afterwards.
class latency_histogram {
public:
    void record(std::chrono::nanoseconds duration) {
        const auto us =
            static_cast<std::uint64_t>(duration.count() > 0 ? duration.count() / 1000 : 0);
        ++counts_[bucket_of(us)];
        ++total_;
    }

    void merge(const latency_histogram& other) {
        for (std::size_t i = 0; i < counts_.size(); ++i)
            counts_[i] += other.counts_[i];
        total_ += other.total_;
    }

    [[nodiscard]] std::uint64_t count() const { return total_; }

    // The upper end of the bucket that holds the quantile (0 to 1), in milliseconds; 0 if empty.
    [[nodiscard]] double quantile_ms(double quantile) const {
        const auto wanted = static_cast<std::uint64_t>(quantile * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted || (seen == total_ && total_ > 0))
                return static_cast<double>(upper_end(i)) / 1000.0;
        }
        return 0;
    }

private:
    // 32 buckets for each power of two; below 32 one for each microsecond.
    static constexpr std::size_t steps = 32;

    static std::size_t bucket_of(std::uint64_t us) {
        if (us < steps)
            return us;
        const auto power = static_cast<std::size_t>(std::bit_width(us)) - 1; // >= 5
        return (power - 4) * steps + (us >> (power - 5)) - steps;
    }
    static std::uint64_t upper_end(std::size_t bucket) {
        if (bucket < steps)
            return bucket;
        const std::size_t power = bucket / steps + 4;
        return ((bucket % steps + steps + 1) << (power - 5)) - 1;
    }

    std::array<std::uint64_t, (64 - 4) * steps> counts_{};
    std::uint64_t total_ = 0;
};

} // namespace immortal::app
