// How many large messages begin to come in at once. gRPC takes a message as a whole, up to the
// largest that is allowed, before anybody sees a byte of it, and what came is known only a while
// later; until then the number of reads that are under way bounds it, in total and for one caller.
// Whoever finds no place waits in line; callers take turns.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>

namespace immortal::esdb {

// Thread-safe. Outlives those who wait.
class receive_gate {
public:
    receive_gate(std::size_t places, std::size_t places_of_caller)
        : free_(places), places_of_caller_(places_of_caller) {}

    // One who wants a place; at most once in line at a time. `granted` is called by whoever leaves,
    // on its thread.
    struct visitor {
        std::string caller;
        std::function<void()> granted;

    private:
        friend class receive_gate;
        bool waiting_ = false;
        std::list<visitor*>::iterator place_ = {};
    };

    // True: in. False: in line; `granted` follows, unless withdraw() comes first.
    [[nodiscard]] bool enter(visitor& one);
    // True: was still in line and is no longer. False: the place is granted.
    [[nodiscard]] bool withdraw(visitor& one);
    // Of one who is in.
    void leave(const visitor& one);

private:
    struct line {
        std::size_t inside = 0;
        std::list<visitor*> waiting = {};
    };
    using lines = std::map<std::string, line>;

    visitor* next(); // who may go in now, taken out of its line; null: nobody

    std::mutex mutex_; // guards what follows
    std::size_t free_;
    const std::size_t places_of_caller_;
    lines lines_;      // of callers that are in or in line
    std::string turn_; // the caller that went in last
};

} // namespace immortal::esdb
