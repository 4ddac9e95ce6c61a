// Inside the module: connections shared by many callers.
#pragma once

#include "postgres/connection.hpp"

#include <atomic>
#include <deque>
#include <optional>

namespace immortal::postgres {

class pool;

// A connection taken from the pool; given back on destruction (on the strand), to be used again
// only if marked healthy.
class lease {
public:
    lease() = default;
    lease(std::shared_ptr<pool> owner, std::shared_ptr<connection> taken)
        : owner_(std::move(owner)), taken_(std::move(taken)) {}
    lease(lease&& other) noexcept
        : healthy(other.healthy), owner_(std::move(other.owner_)), taken_(std::move(other.taken_)) {
    }
    lease& operator=(lease&&) = delete;
    ~lease();

    [[nodiscard]] connection& operator*() const { return *taken_; }
    [[nodiscard]] connection* operator->() const { return taken_.get(); }
    [[nodiscard]] explicit operator bool() const { return taken_ != nullptr; }

    bool healthy = false;

private:
    std::shared_ptr<pool> owner_;
    std::shared_ptr<connection> taken_;
};

// At most `connections_max` connections, made when needed. Everything on the strand, but
// available().
class pool : public std::enable_shared_from_this<pool> {
public:
    pool(boost::asio::any_io_executor executor, settings options, base::metrics& metrics);

    // Errors: unavailable, exhausted, timeout, cancelled.
    awaitable<base::result<lease>> acquire(base::steady_time deadline);
    void release(std::shared_ptr<connection> back, bool healthy);
    // A session has had an answer, so the server can be reached. New connections are tried no
    // sooner.
    void note_answer();
    // Refuses new work; waits for leases until `grace` has passed, aborts the rest.
    awaitable<void> stop(milliseconds grace);
    // Refuses new work and ends what is under way.
    void abort_all();
    // Thread-safe: from now on the metrics are not touched (their owner may end before the last
    // coroutine frame does).
    void detach_metrics() { measured_.store(false); }

    [[nodiscard]] bool available() const { return available_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool stopped() const { return stopped_; }
    [[nodiscard]] const strand& executor() const { return strand_; }
    [[nodiscard]] const settings& options() const { return options_; }
    // The deadline of a call that asked for `timeout` (zero: the settings').
    [[nodiscard]] base::steady_time deadline_of(milliseconds timeout) const;
    void count(const std::optional<base::error>& failed, base::steady_time begun);
    // Whether a missing right is to be logged: at most once a second, as every statement that needs
    // it is refused.
    [[nodiscard]] bool is_missing_right_due();

private:
    struct waiter {
        explicit waiter(const strand& executor) : timer(executor) {}
        boost::asio::steady_timer timer;
        std::shared_ptr<connection> given; // a connection in use until now
        bool may_open = false;             // the right to make a new one
    };

    struct place_in_line;

    std::shared_ptr<connection> take_idle();
    void refuse();
    void change_connections(double by);
    awaitable<base::result<lease>> wait_in_line(base::steady_time deadline);
    awaitable<base::result<lease>> open_new();
    void note_failure(base::error why);
    void give_up_slot();
    lease hand_out(std::shared_ptr<connection> taken);

    const settings options_;
    const strand strand_;
    std::vector<std::shared_ptr<connection>> idle_;
    std::vector<std::shared_ptr<connection>> in_use_;
    std::deque<waiter*> waiting_;
    std::size_t slots_ = 0; // connections and attempts to make one
    unsigned failures_ = 0;
    base::steady_time retry_at_{};
    std::optional<base::error> last_failure_; // of an attempt to connect
    base::steady_time missing_right_logged_{};
    bool stopped_ = false;
    boost::asio::steady_timer drained_;
    std::atomic<bool> available_ = false;
    std::atomic<bool> measured_ = true;
    base::counter succeeded_;
    base::counter failed_;
    base::gauge connections_;
    base::histogram seconds_;
};

} // namespace immortal::postgres
