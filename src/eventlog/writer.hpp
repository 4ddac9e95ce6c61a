// The one thread that writes the log: the commit path.
//
//   append()          checks the request and puts it into the queue (append_queue). Any thread.
//   take a group      the appends that wait, up to a bound. They have begun.
//   decide            each against the streams' state, with all that was staged before it
//                     (append_decision over writer_facts); then what it writes (append_plan).
//   stage             its frame into log_tail, its entries into the index, its ids into recent_ids,
//                     its streams into stream_states. All in memory.
//   submit            the staged group becomes the one in flight. A large group is committed by the
//                     helper thread, while the writer stages the next one; a small one by the
//                     writer.
//   commit            write the frames, sync the segment, write and sync the head anchor, move the
//                     durable head, tell the readers' caches and the index, publish, answer.
//   complete          the writer learns the outcome. Not durable: this group and the one staged on
//                     top of it are rolled back (nothing was written) or left for a restart to find
//                     out about (nobody knows).
//
// Beside it append_deadlines answers what is late, and segments roll (make_room) and the index
// takes checkpoints between groups.
//
// Invariants, and where each is asserted:
//   1. Every append is answered exactly once, by whoever comes first: append_ticket::answer.
//   2. An append that was withdrawn never began, and one that began is never withdrawn:
//      append_queue::take, append_deadlines::run.
//   3. An answer, a refusal included, comes after all that it rests on is durable: its group's
//      commit, and that of every group before it (deliver).
//   4. Nothing is visible before it is durable: the durable head moves in log_tail::commit only,
//      forwards, after both syncs, to the end of the submitted group.
//   5. Frames, index entries, ids and answers of a group agree: append_group::check, before a group
//      is submitted and before it is rolled back.
//   6. The submitted group begins where the durable log ends, the staged one where the submitted
//   one
//      does, and both lie in one segment: log_tail.
//   7. A frame's bytes are those that were planned: its length, the positions of its events and
//      their count (stage, write_frame), and what is read back of it while it is staged
//      (log_tail::staged_record).
//   8. A revision follows its stream's last one; nothing follows a tombstone: note_staged,
//      plan_append.
//   9. Times never decrease along the log: log_tail::stage.
//  10. After a failed write or sync nothing more is staged or committed: log_state::failed is final
//      (enter), and a group that is submitted then is a defect (commit).
//  11. At most one group is in flight, and the index closes no part meanwhile: it could still have
//      to be rolled back (checkpoint).
// Readers rely on 4, subscribers on 3 and 4, commands on 1 to 3, recovery on 6, 7 and 9.
#pragma once

#include "eventlog/append_deadlines.hpp"
#include "eventlog/append_group.hpp"
#include "eventlog/append_plan.hpp"
#include "eventlog/helper_thread.hpp"
#include "eventlog/log_tail.hpp"
#include "eventlog/stream_states.hpp"

#include <atomic>
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
        base::clock& clock; // stamps the events
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

    // Thread-safe, does not wait. As in class log.
    void append(std::vector<stream_write> writes, append_callback callback, append_terms terms);
    [[nodiscard]] log_state state() const { return state_.load(std::memory_order_acquire); }
    [[nodiscard]] base::log_identity identity() const { return identity_; }
    // Finishes what is queued and joins; deadlines go on meanwhile. Idempotent, one caller at a
    // time.
    void stop();

private:
    struct meters;
    enum class pace : std::uint8_t { wait, overlap };

    [[nodiscard]] base::status admit(const std::vector<stream_write>& writes,
                                     pending_append& item) const;
    void run();
    void process(std::vector<pending_append> appends);
    void decide_one(pending_append& item);
    append_outcome stage(const std::vector<stream_write>& writes, append_plan plan);
    // Indexes the events of the frame that begins at `begin` and notes what they change.
    void note_frame(const std::vector<stream_write>& writes, append_plan& plan,
                    base::position begin);
    // Makes room for the frame by committing and rolling. False: not writable now.
    bool make_room(std::uint64_t frame_bytes);
    // Makes durable what is staged and answers; with `overlap` on the helper's time.
    void commit(pace how);
    // Of the submitted group; on the writer's thread or the helper's.
    void commit_submitted();
    // Waits for the submitted group. If it failed, so does what was staged since.
    void await_commit();
    // Answers both groups after a commit that failed.
    void fail_groups(log_tail::outcome how);
    void deliver(std::vector<append_group::answer>& answers);
    // Lets the index close a part, unless a group is in flight.
    void checkpoint();
    // What others use up or free meanwhile: notes in the state whether the disk has room for
    // `bytes`, and takes back the descriptors that are kept for the log. Before each group, and at
    // every look of an idle writer, so that the state is never older than that.
    void check_means(std::uint64_t bytes);
    [[nodiscard]] base::error refusal() const;
    void enter(log_state next);

    parts parts_;
    log_tail tail_;
    append_queue queue_;
    stream_states states_;
    base::log_identity identity_;
    std::atomic<log_state> state_{log_state::writable};
    append_group staged_;
    append_group submitted_;
    bool in_flight_ = false; // a group is submitted and not completed
    log_tail::outcome submitted_outcome_ = log_tail::outcome::durable;
    bool space_known_ = true;               // it could be asked for, the last time
    std::uint64_t since_checkpoint_ = 0;    // events staged since the index was asked for room
    std::optional<base::error> index_full_; // why no event may be staged in this group
    std::unique_ptr<meters> meters_;
    std::unique_ptr<append_deadlines> deadlines_;
    std::unique_ptr<helper_thread> helper_; // commits large groups
    std::thread thread_;
};

} // namespace immortal::eventlog
