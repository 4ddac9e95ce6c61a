// One stretch of projecting under one set of leases: a reader that folds events ahead while a
// committer writes the batch before. It ends by an error, by stop, or because something needs a
// fresh start; everything it knows is then thrown away and read again from the checkpoints.
#pragma once

#include "readmodel/builder.hpp"
#include "readmodel/freshener.hpp"
#include "readmodel/projector.hpp"
#include "runtime/async_event.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace immortal::readmodel {

// Shared by the projector and its sessions.
struct projector_context {
    projector_context(projector::parts p, projector_settings s);

    projector::parts uses;
    projector_settings settings;
    step_hook hook;
    freshener* fresh = nullptr; // null: no cache
    std::atomic<bool> stopping{false};
    runtime::async_event stopped; // notified once
    runtime::async_event changed; // something for reader or committer of the session
    base::counter events;
    base::counter batches;
    base::counter retries;
    base::histogram delay;
    base::histogram batch_events;
    std::atomic<std::uint64_t> reached{0};

    [[nodiscard]] bool step(const char* name) const { return !hook || hook(name); }
    void set_trouble(std::string sentence);
    [[nodiscard]] std::string trouble() const;
    // False: stopping.
    awaitable<bool> back_off(milliseconds& wait);

private:
    mutable std::mutex mutex_;
    std::string trouble_;
};

// What run() should do after a session.
struct session_end {
    enum class reason : std::uint8_t {
        stopped,
        again,       // start over from the checkpoints
        lease_lost,  // the same, but acquire again first
        rows_refused // the same, one append at a time up to `until`
    };
    reason why = reason::again;
    base::position until = {};
    std::unordered_map<base::uuid, std::string> refused = {}; // owners whose rows SQL refuses
};

struct session_start {
    std::vector<lease> leases;
    std::optional<base::position> careful_until = {}; // up to here one append a transaction
    std::unordered_map<base::uuid, std::string> refused = {};
};

// Runs on a strand (the caller's executor). `context` outlives it.
awaitable<session_end> run_session(projector_context& context, session_start start);

enum class commit_outcome : std::uint8_t { committed, fence_lost, refused, stopped };
struct commit_result {
    commit_outcome outcome;
    std::string error;                     // if refused
    std::vector<statistics_totals> totals; // if committed; empty if the answer got lost
};
// Writes the batch until it is known to be written, or known never to be.
awaitable<commit_result> commit_batch(projector_context& context, const prepared_batch& batch,
                                      const std::vector<lease>& leases);

// Makes the owner's rows anew from the log, up to its partition's checkpoint.
awaitable<base::status> replay_owner(projector_context& context, const std::vector<lease>& leases,
                                     base::uuid owner);

[[nodiscard]] std::vector<std::int64_t> partitions_of(const std::vector<lease>& leases);

} // namespace immortal::readmodel
