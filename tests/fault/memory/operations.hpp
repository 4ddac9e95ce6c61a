// The operations of the store during which memory ends, one process each.
#pragma once

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "eventlog/log.hpp"
#include "eventstore/event_store.hpp"
#include "memory/ledger.hpp"
#include "runtime/engine.hpp"

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace immortal::faults {

enum class index_place : bool { memory, disk };

[[nodiscard]] base::result<std::unique_ptr<eventlog::log>>
open_log(const std::filesystem::path& folder, index_place index);

// Fills a new log in `folder`, some of it hidden and in several segments, with a first backup of it
// in `backups`; `book` knows what was written. The log is left as a dead process leaves it, so this
// must run in a process of its own.
void prepare_log(const std::filesystem::path& folder, const std::filesystem::path& backups,
                 index_place index, ledger& book);
// The same plan without the writing: for the process that judges.
void plan_preparation(ledger& book);

// Where what happens is told: to another process, that outlives this one.
class teller {
public:
    virtual ~teller() = default;
    virtual void append(std::uint64_t number, ledger::fate what, base::position position) = 0;
    virtual void broken(std::string_view problem) = 0; // an answer is wrong
};

// What an operation works on, made before memory is counted: what the harness itself needs must not
// be what fails.
class scene {
public:
    scene(std::filesystem::path folder, std::filesystem::path backups, index_place index,
          ledger& book, teller& out);
    ~scene();
    scene(const scene&) = delete;
    scene& operator=(const scene&) = delete;

    // Opens the log, reads it, makes what the operation of that name needs.
    void get_ready(std::string_view operation);

    // For a control: one of the answers that are compared with is missing from now on.
    void forget_an_answer() { right_.erase(right_.begin() + 3); }

    // For the operations. May throw std::bad_alloc.
    void open();
    void close();
    // The next of the appends that were planned for this operation.
    void append();
    void read_streams();
    void read_all();
    void subscribe();
    void scavenge();
    void back_up();

    // Afterwards, with memory again: an append of its own, and everything is read. An open log that
    // can be written to must manage both.
    void go_on();

private:
    struct answer;
    struct planned {
        std::uint64_t number = 0;
        std::vector<eventlog::stream_write> writes;
        eventlog::append_callback done;
        std::shared_ptr<answer> said;
    };
    void prepare(std::uint64_t number);
    void run(planned& what);
    void compare(std::span<const eventlog::recorded_event> found, std::size_t& next);

    std::filesystem::path folder_;
    std::filesystem::path backups_;
    index_place index_;
    ledger& book_;
    teller& out_;
    std::unique_ptr<eventlog::log> log_;
    std::unique_ptr<runtime::engine> engine_;
    std::unique_ptr<eventstore::event_store> store_;
    std::unique_ptr<eventstore::subscription> subscription_;
    std::vector<planned> planned_;
    std::size_t next_planned_ = 0;
    std::vector<eventlog::recorded_event> right_; // the whole log before the operation
    bool comparable_ = true;                      // no event of it goes away
};

struct memory_operation {
    std::string_view name;
    // Whether it passes through Boost.Asio, whose strands (1.81) follow a wild pointer when there
    // is no memory for them: the process dies of that.
    bool asio;
    void (*run)(scene&);
    // Plans the appends that it makes, and one more that follows it.
    void (*plan)(ledger&);
};
[[nodiscard]] std::span<const memory_operation> memory_operations();

} // namespace immortal::faults
