// How much a read has looked at, against what it may.
#pragma once

#include "base/clock.hpp"
#include "eventlog/log.hpp"

namespace immortal::eventlog {

// Of one call; used on its thread.
class read_meter {
public:
    // `clock` outlives it.
    read_meter(base::clock& clock, const read_bounds& bounds)
        : clock_(clock), bounds_(bounds), until_(clock.steady_now() + bounds.time) {}

    void count(std::uint64_t record_bytes) {
        ++records_;
        bytes_ += record_bytes;
    }
    void add(const read_meter& part) {
        records_ += part.records_;
        bytes_ += part.bytes_;
    }
    // Whether the call has looked at as much as it may. Not before it looked at something.
    [[nodiscard]] bool spent() const {
        return records_ > 0 && (late_ || records_ >= bounds_.records || bytes_ >= bounds_.bytes);
    }
    // Asks the clock, which is worth it after a read of the file; spent() knows from then on.
    [[nodiscard]] bool is_late() {
        late_ = late_ || clock_.steady_now() >= until_;
        return late_;
    }
    // How many more may be looked at; at least one.
    [[nodiscard]] std::size_t left() const {
        return bounds_.records > records_ ? bounds_.records - records_ : 1;
    }

private:
    base::clock& clock_;
    const read_bounds bounds_;
    const base::steady_time until_;
    std::size_t records_ = 0;
    std::uint64_t bytes_ = 0;
    bool late_ = false;
};

} // namespace immortal::eventlog
