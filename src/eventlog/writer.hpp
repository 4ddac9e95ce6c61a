// The one thread that writes the log.
#pragma once

#include "eventlog/append_plan.hpp"
#include "eventlog/append_queue.hpp"
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
        std::function<void()> published; // on the writer thread, after the durable head moved
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

    void run();
    void process(std::vector<pending_append>& group);
    void decide_one(pending_append& item, std::vector<answer>& answers);
    append_outcome stage(const std::vector<stream_write>& writes, append_plan plan);
    // Makes room for the frame by committing and rolling. False: not writable now.
    bool make_room(std::uint64_t frame_bytes, std::vector<answer>& answers);
    void commit(std::vector<answer>& answers);
    void deliver(std::vector<answer>& answers);
    void take_back_index();
    void forget_staged();
    bool space_left(std::uint64_t bytes);
    [[nodiscard]] base::error refusal() const;
    void enter(log_state next);

    parts parts_;
    log_tail tail_;
    append_queue queue_;
    stream_states states_;
    base::log_identity identity_;
    std::atomic<log_state> state_{log_state::writable};
    std::vector<staged_frame> staged_;
    std::vector<index_entry> entries_; // of the staged frames; the group keeps the appends alive
    std::vector<base::uuid> entry_ids_;
    std::deque<std::string> correlations_;      // that entries refer to
    std::vector<std::string> changed_metadata_; // streams whose metadata is staged
    std::optional<base::error> index_full_;     // why no event may be staged in this group
    std::unique_ptr<meters> meters_;
    std::thread thread_;
};

} // namespace immortal::eventlog
