// Locks by key, first come first served, across coroutines and threads.
#pragma once

#include "base/result.hpp"
#include "runtime/engine.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace immortal::runtime {

// Who asks for several keys gets all of them at once or waits for all of them; requests that share
// a key are served in the order they came. There is no deadlock between requests, but a coroutine
// must not ask again while it holds a guard. Thread-safe.
class key_locks {
    struct state;
    struct request;

public:
    // Holds the keys until it is destroyed or release() is called, on any thread. May outlive the
    // key_locks.
    class guard {
    public:
        guard() = default;
        guard(guard&& other) noexcept = default;
        guard& operator=(guard&& other) noexcept;
        ~guard() { release(); }
        void release();
        [[nodiscard]] explicit operator bool() const noexcept { return request_ != nullptr; }

    private:
        friend class key_locks;
        guard(std::shared_ptr<state> owner, std::shared_ptr<request> held)
            : state_(std::move(owner)), request_(std::move(held)) {}
        std::shared_ptr<state> state_;
        std::shared_ptr<request> request_;
    };

    // `waiting_max`: requests that wait at the same time, over all keys.
    explicit key_locks(std::size_t waiting_max = 4096);
    ~key_locks();
    key_locks(const key_locks&) = delete;
    key_locks& operator=(const key_locks&) = delete;

    // `keys`: in any order, duplicates allowed. Errors: exhausted (too many wait), timeout (not
    // granted within `limit`), cancelled.
    [[nodiscard]] awaitable<base::result<guard>> lock(std::vector<std::string> keys,
                                                      milliseconds limit);

    [[nodiscard]] std::size_t waiting() const;   // requests not granted yet
    [[nodiscard]] std::size_t keys_held() const; // keys with at least one request, granted or not

private:
    std::shared_ptr<state> state_;
};

} // namespace immortal::runtime
