// A store in a file system in memory, and the operations that the harnesses combine on it.
#pragma once

#include "base/clock.hpp"
#include "base/memory_file_system.hpp"
#include "base/random.hpp"
#include "store/promise_book.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace immortal::faults {

// One store with everything that was asked of it. Operations go on whatever fails.
class store_session {
public:
    static constexpr const char* folder = "/log";

    // Every fourth seed keeps the index on the disk too.
    explicit store_session(std::uint64_t seed);

    // False: it does not open now (`problem` says why).
    bool open();
    void close() { log_.reset(); }
    [[nodiscard]] bool is_open() const { return log_ != nullptr; }
    [[nodiscard]] eventlog::log& log() { return *log_; }

    struct wish {
        std::string stream;
        eventlog::expected_revision expected;
        std::size_t events = 1;
    };
    // An append of its own, waited for. True: acknowledged.
    bool append(std::vector<wish> wishes, std::size_t padding = 0);
    // Several at the same time.
    void append_together(std::span<const std::vector<wish>> appends,
                         promise_book::rivalry kind = promise_book::rivalry::none);
    void repeat_last();
    void read_everything(); // what is read is written down

    base::memory_file_system disk;
    promise_book book;
    base::error problem;

private:
    base::manual_clock clock_{base::utc_time(std::chrono::hours(24 * 365 * 50))};
    base::seeded_random random_;
    bool index_on_disk_;
    std::unique_ptr<eventlog::log> log_;
};

struct operation {
    std::string_view name;
    void (*run)(store_session&);
};
// The first `combined` of them are the ones of which all pairs and triples are made.
[[nodiscard]] std::span<const operation> operations();
constexpr std::size_t combined = 8;

} // namespace immortal::faults
