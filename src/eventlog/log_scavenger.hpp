// The scavenger of an open log.
#pragma once

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "eventlog/index.hpp"
#include "eventlog/log_reader.hpp"
#include "eventlog/scavenge_reserve.hpp"
#include "eventlog/scavenge_rules.hpp"
#include "eventlog/scavenge_segment.hpp"
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
        std::uint64_t reserve_bytes = 0; // 0: none is kept
        base::file_system& files;
        base::clock& clock;
        segment_list& segments;
        log_index& index;
        const log_reader& reader;
        const durable_head& head;
        std::uint64_t seed = 0; // of the ids
    };

    explicit log_scavenger(parts given)
        : parts_(std::move(given)), random_(parts_.seed),
          reserve_(parts_.files, parts_.folder, parts_.reserve_bytes) {}
    ~log_scavenger() override { close(); }
    log_scavenger(const log_scavenger&) = delete;
    log_scavenger& operator=(const log_scavenger&) = delete;

    base::result<std::string> start(scavenge_options options, scavenge_observer observer) override;
    base::status stop(const std::string& id) override;
    scavenge_status status() const override;
    void wait(wait_how how) override;
    void set_recorder(scavenge_observer recorder) override;
    base::status maintain_reserve() override;

    // Stops what runs, and lets nothing start any more. Idempotent.
    void close();

private:
    struct item {
        std::shared_ptr<segment> from;
        segment_gain gain;
    };
    struct work {                // of one scavenge; its threads share it under `mutex_`
        std::vector<item> items; // to be measured, then to be rewritten
        std::size_t next = 0;    // of them
        std::vector<item> kept;  // measured: something is gained; rewriting: there was no room
        base::position end;      // the fixed point the rules look at
        base::utc_time now;
        bool had_reserve = false;         // when it began
        std::uint64_t promised_bytes = 0; // of room, to segments that are being rewritten
        std::optional<base::error> problem;
        std::optional<base::error> no_room;
    };
    using step = base::status (log_scavenger::*)(work&, item&, scavenge_rules&);

    void run();
    [[nodiscard]] work begin();
    void rewrite_all(work& shared);
    void finish(work& shared);
    // Takes all items through `how`, on the threads of the scavenge.
    void take_all(work& shared, step how);
    void take_some(work& shared, step how);
    [[nodiscard]] segment_rewrite rewrite_of(const work& shared, const item& one,
                                             scavenge_rules& rules);
    [[nodiscard]] base::status measure(work& shared, item& one, scavenge_rules& rules);
    [[nodiscard]] base::status rewrite_one(work& shared, item& one, scavenge_rules& rules);
    // Whether there is room for so many bytes beside what was promised; then they are promised.
    [[nodiscard]] base::result<bool> promise_room(work& shared, const segment_rewrite& what,
                                                  std::uint64_t bytes);
    [[nodiscard]] base::status rewrite_beside(work& shared, const item& one,
                                              const segment_rewrite& what);
    [[nodiscard]] base::status rewrite_in_reserve(work& shared, const item& one,
                                                  const segment_rewrite& what);
    // It is tried again when others were rewritten.
    void keep_for_later(work& shared, const item& one);
    [[nodiscard]] base::status replace(const item& one, base::result<rewritten_segment> found);
    // Waits as long as the limit of bytes asks for; false: stop.
    bool go_on(std::uint64_t bytes);
    void tell();

    parts parts_;
    base::seeded_random random_;
    std::mutex reserve_mutex_; // held while a segment is written into it
    scavenge_reserve reserve_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    scavenge_status status_;
    scavenge_observer observer_;
    scavenge_observer recorder_;
    std::mutex observer_mutex_; // of both; they are called under it
    bool stopping_ = false;
    bool closed_ = false;
    std::chrono::steady_clock::time_point allowed_at_; // when the next bytes may be read
    std::mutex thread_mutex_;                          // of thread_: one joins
    std::thread thread_;
};

} // namespace immortal::eventlog
