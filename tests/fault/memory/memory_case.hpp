// One operation of the store with one failing allocation, in a process of its own, and the verdict
// on what it left.
#pragma once

#include "memory/failing_allocations.hpp"
#include "memory/operations.hpp"

#include <cstdint>
#include <string>

namespace immortal::faults {

// What the harness itself does wrong, to see that it is noticed.
enum class lie : std::uint8_t {
    none,
    acknowledges_first, // says "acknowledged" before it appends
    answers_wrong,      // an event is missing from what it compares with
    cuts_the_log,       // the last bytes of the log go away before the verdict
    loses_a_blob,       // a piece of the newest backup goes away before the verdict
};

struct memory_case {
    std::size_t operation = 0; // of memory_operations()
    index_place index = index_place::memory;
    std::uint64_t nth = 0; // 0: nothing fails
    repetition how = repetition::once;
    lie what = lie::none;

    [[nodiscard]] std::string text() const; // "append:memory:17:once"
};

// The state that every case begins with: a folder that was prepared once for each place of the
// index.
class prepared_folders {
public:
    prepared_folders(); // in memory (tmpfs) where there is such a place
    ~prepared_folders();
    prepared_folders(const prepared_folders&) = delete;
    prepared_folders& operator=(const prepared_folders&) = delete;
    // Makes both logs.
    [[nodiscard]] std::string fill();
    [[nodiscard]] std::filesystem::path log(index_place index) const;
    [[nodiscard]] std::filesystem::path backups(index_place index) const;
    [[nodiscard]] std::filesystem::path scratch(std::uint64_t number) const; // removed by its user
    [[nodiscard]] const ledger& book(index_place index) const {
        return index == index_place::memory ? in_memory_ : on_disk_;
    }

private:
    [[nodiscard]] std::string fill(index_place index, ledger& book);
    std::filesystem::path root_;
    ledger in_memory_;
    ledger on_disk_;
};

struct memory_verdict {
    enum class end : std::uint8_t { went_on, died, not_reached };
    end how = end::not_reached;
    std::uint64_t allocations = 0; // of the operation, if it went on
    bool acknowledged = false;     // at least one append
    std::string problem;           // empty: every promise held
};

// Runs it. Not in a process that has threads.
[[nodiscard]] memory_verdict run_case(const memory_case& which, const prepared_folders& folders,
                                      const std::filesystem::path& scratch);

} // namespace immortal::faults
