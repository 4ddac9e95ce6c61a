// One bound on the bytes of events that all groups hold together, shared so that everybody whose
// consumers answer goes on.
//
// Three quarters go to whoever comes first. The last quarter is only for groups that can give what
// they take to a consumer at once ("urgent"): to each its even part of it, and to one that holds
// nothing at least one event. Nothing is taken while the bound is reached, so that it is exceeded
// by one event at the most, however many groups there are.
//
// Nobody waits for ever. While an urgent group waits, everyone who holds more than its even part is
// asked to let go of what it can read again: what waits for a consumer in vain, and what was given
// and sent. What is left to a group then are its bookkeeping, and messages that are being sent: the
// ends of those are the deadlines of the calls. A group that let go takes nothing again before one
// of its consumers has a free slot. So the sum falls below the bound, those that wait are woken as
// they came, and a consumer that does not answer, or that is not there, is in nobody's way.
#pragma once

#include "base/metrics.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <span>

namespace immortal::esdb {

constexpr std::size_t groups_bytes_max = 256u << 20; // unless configured otherwise

// Thread-safe; outlives its shares.
class group_memory {
public:
    enum class need : std::uint8_t {
        ahead,  // read before a consumer has a slot for it
        urgent, // a consumer gets it at once
    };

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

        // What the group holds from now on, and what of take() is still being read.
        void hold(std::size_t bytes, std::size_t reading = 0);
        // Bytes that the group may take now. 0: none, and `wake` is called later.
        [[nodiscard]] std::size_t room(need why);
        // As many of these events, in order, as there is room for are being read from now on: if
        // there is any, then the first one, whatever its size. 0: none, and `wake` is called later.
        [[nodiscard]] std::size_t take(std::span<const std::size_t> sizes, need why);
        void not_urgent(); // it waits no more, if it waited as an urgent one
        // An urgent one waits, and this holds more than its even part.
        [[nodiscard]] bool asked_to_let_go() const;

    private:
        friend class group_memory;
        group_memory& memory_;
        const std::function<void()> wake_;
        std::size_t held_ = 0; // guarded by the memory's mutex, as what follows
        std::size_t reading_ = 0;
        [[nodiscard]] std::size_t all() const { return held_ + reading_; }
        need need_ = need::ahead;
        std::optional<std::list<share*>::iterator> waiting_;
    };

    [[nodiscard]] std::size_t held() const;    // by all groups
    [[nodiscard]] std::size_t reading() const; // beside that; the bound is on both together

private:
    // All of these with the lock.
    [[nodiscard]] std::size_t fair() const; // the even part
    [[nodiscard]] std::size_t room_of(const share& one, need why) const;
    // The first ones of the queues that have room; who reads ahead has none while others wait.
    void wake_some();
    // The even part of one is its own, whoever is before it in the queue.
    void wake_if_room(share& one);
    void enter_queue(share& one, need why);
    void leave_queue(share& one);
    void tell();

    const std::size_t bytes_max_;
    const std::size_t common_; // for whoever comes first
    std::optional<base::gauge> held_gauge_;
    std::optional<base::counter> waits_;
    std::atomic<bool> urgent_waits_ = false; // `urgent_` is not empty
    mutable std::mutex mutex_;               // guards what follows
    std::size_t held_ = 0;
    std::size_t reading_ = 0;
    std::size_t shares_ = 0;
    std::list<share*> urgent_; // those given no room, the first one first
    std::list<share*> ahead_;  // likewise
};

} // namespace immortal::esdb
