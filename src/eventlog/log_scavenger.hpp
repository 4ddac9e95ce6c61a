// The scavenger of an open log.
#pragma once

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "eventlog/index.hpp"
#include "eventlog/log_reader.hpp"
#include "eventlog/scavenge_rules.hpp"
#include "eventlog/scavenger.hpp"
#include "eventlog/segment.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace immortal::eventlog {

class log_scavenger final : public scavenger {
public:
    struct parts { // all outlive it
        std::string folder;
        std::uint64_t free_space_min = 0;
        base::file_system& files;
        base::clock& clock;
        segment_list& segments;
        log_index& index;
        const log_reader& reader;
        const durable_head& head;
        std::uint64_t seed = 0; // of the ids
    };

    explicit log_scavenger(parts given) : parts_(std::move(given)), random_(parts_.seed) {}
    ~log_scavenger() override { close(); }
    log_scavenger(const log_scavenger&) = delete;
    log_scavenger& operator=(const log_scavenger&) = delete;

    base::result<std::string> start(scavenge_options options, scavenge_observer observer) override;
    base::status stop(const std::string& id) override;
    scavenge_status status() const override;
    void wait(wait_how how) override;

    // Stops what runs, and lets nothing start any more. Idempotent.
    void close();

private:
    struct work { // of one scavenge; its threads share it under `mutex_`
        std::vector<std::shared_ptr<segment>> segments; // closed ones, ascending
        std::size_t next = 0;
        base::position end; // the fixed point the rules look at
        base::utc_time now;
        std::optional<base::error> problem;
    };

    void run();
    void run_one(work& shared);
    [[nodiscard]] base::status scavenge_segment(work& shared, const std::shared_ptr<segment>& one,
                                                scavenge_rules& rules);
    // Waits as long as the limit of bytes asks for; false: stop.
    bool go_on(std::uint64_t bytes);
    void tell();

    parts parts_;
    base::seeded_random random_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    scavenge_status status_;
    scavenge_observer observer_;
    std::mutex observer_mutex_;
    bool stopping_ = false;
    bool closed_ = false;
    std::chrono::steady_clock::time_point allowed_at_; // when the next bytes may be read
    std::mutex thread_mutex_;                          // of thread_: one joins
    std::thread thread_;
};

} // namespace immortal::eventlog
