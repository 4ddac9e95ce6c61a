// The one thread that writes the log.
#pragma once

#include "eventlog/append_plan.hpp"
#include "eventlog/append_queue.hpp"
#include "eventlog/helper_thread.hpp"
#include "eventlog/log_tail.hpp"
#include "eventlog/stream_states.hpp"

#include <atomic>
#include <deque>
#include <functional>
#include <thread>

namespace immortal::base {
class metrics;
}

namespace immortal::eventlog {

class log_writer {
public:
    struct parts { // all outlive the writer
        const log_settings& settings;
        base::file_system& files;
        base::clock& clock;
        base::metrics* metrics;
        segment_list& segments;
        log_index& index;
        durable_head& head;
        log_reader& reader;
        recent_ids& ids;
        // On the thread that commits, after the durable head moved over these.
        std::function<void(std::span<const index_entry>)> published;
    };

    log_writer(parts given, recovered_log& from);
    ~log_writer(); // stop()
    log_writer(const log_writer&) = delete;
    log_writer& operator=(const log_writer&) = delete;

    void append(std::vector<stream_write> writes, append_callback done); // thread-safe
    [[nodiscard]] log_state state() const { return state_.load(std::memory_order_acquire); }
    [[nodiscard]] base::log_identity identity() const { return identity_; }
    // Finishes what is queued and joins. Idempotent, one caller at a time.
    void stop();

private:
    struct meters;
    struct answer {
        append_callback done;
        base::result<append_outcome> outcome;
        bool staged = false;
    };
    struct staged_frame { // to take the index entries back
        base::position begin;
        std::size_t entries = 0;
    };
    // What is staged together, and later made durable together.
    struct staged_group {
        std::vector<pending_append> appends; // keeps alive what the rest refers to
        std::vector<answer> answers;
        std::vector<staged_frame> frames;
        std::vector<index_entry> entries;
        std::vector<base::uuid> ids; // of the entries
        std::deque<std::string> correlations;
        std::vector<std::string> changed_metadata; // streams described by what is staged

        void clear();
    };
    enum class pace : std::uint8_t { wait, overlap };

    void run();
    void process(std::vector<pending_append>& group);
    void decide_one(pending_append& item);
    append_outcome stage(const std::vector<stream_write>& writes, append_plan plan);
    // Makes room for the frame by committing and rolling. False: not writable now.
    bool make_room(std::uint64_t frame_bytes);
    // Makes durable what is staged and answers; with `overlap` on the helper's time.
    void commit(pace how);
    // Of the launched group; on the writer's thread or the helper's.
    void commit_launched();
    // Waits for the launched group. If it failed, so does what was staged since.
    void settle();
    void deliver(std::vector<answer>& answers);
    void take_back(staged_group& group);
    void rest();
    bool space_left(std::uint64_t bytes);
    [[nodiscard]] base::error refusal() const;
    void enter(log_state next);

    parts parts_;
    log_tail tail_;
    append_queue queue_;
    stream_states states_;
    base::log_identity identity_;
    std::atomic<log_state> state_{log_state::writable};
    staged_group staged_;
    staged_group launched_;
    bool flying_ = false; // a group is launched
    log_tail::outcome launched_outcome_ = log_tail::outcome::durable;
    std::uint64_t since_rest_ = 0;          // events staged since the index was asked for room
    std::optional<base::error> index_full_; // why no event may be staged in this group
    std::unique_ptr<meters> meters_;
    std::unique_ptr<helper_thread> helper_; // commits large groups
    std::thread thread_;
};

} // namespace immortal::eventlog
