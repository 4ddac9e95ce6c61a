// One bound on the bytes of events that all groups hold together, shared fairly.
//
// Three quarters go to whoever comes first. The last quarter is divided evenly among the groups, so
// that one whose consumers answer goes on, however much the others hold that are stuck. A group
// that holds nothing may always take one event: by that much, for each such group, the bound may be
// exceeded.
#pragma once

#include "base/metrics.hpp"

#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <optional>

namespace immortal::esdb {

constexpr std::size_t groups_bytes_max = 256u << 20; // unless configured otherwise

// Thread-safe; outlives its shares.
class group_memory {
public:
    // `metrics` may be null, else it outlives this.
    explicit group_memory(std::size_t bytes_max, base::metrics* metrics = nullptr);

    // The part of one group. Thread-safe.
    class share {
    public:
        // `wake` is called, on any thread and with locks held, when a group that was given no room
        // may ask again; it only notifies.
        share(group_memory& memory, std::function<void()> wake);
        ~share(); // what it holds is given back
        share(const share&) = delete;
        share& operator=(const share&) = delete;

        void hold(std::size_t bytes); // what the group holds from now on
        // Bytes that the group may take now. 0: none, and `wake` is called later.
        [[nodiscard]] std::size_t room();

    private:
        friend class group_memory;
        group_memory& memory_;
        const std::function<void()> wake_;
        std::size_t held_ = 0; // guarded by the memory's mutex, as what follows
        std::optional<std::list<share*>::iterator> waiting_;
    };

    [[nodiscard]] std::size_t held() const; // by all groups

private:
    [[nodiscard]] std::size_t room_of(const share& one) const; // with the lock
    // With the lock. What is for whoever comes first: if the first one in the queue gets nothing of
    // it, nobody does.
    void wake_some();
    // With the lock: the even part of one is its own, whoever is before it in the queue.
    void wake_if_room(share& one);
    void leave_queue(share& one); // with the lock

    const std::size_t common_; // for whoever comes first
    const std::size_t even_;   // divided
    std::optional<base::gauge> held_gauge_;
    std::optional<base::counter> waits_;
    mutable std::mutex mutex_; // guards what follows
    std::size_t held_ = 0;
    std::size_t shares_ = 0;
    std::list<share*> queue_; // those given no room, the first one first
};

} // namespace immortal::esdb
