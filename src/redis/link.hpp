// Inside the module: one connection that is kept up, with commands in its pipeline.
#pragma once

#include "redis/session.hpp"

#include <atomic>
#include <deque>

namespace immortal::redis {

// Everything on its strand but connected() and executor().
class link : public std::enable_shared_from_this<link> {
public:
    link(boost::asio::any_io_executor executor, settings options);

    awaitable<base::result<std::vector<reply>>> run(std::vector<command> commands);
    // Ends everything at once; later calls answer cancelled.
    void shut();
    // shut(), then waits until the connection's coroutines have ended.
    awaitable<void> stop();

    [[nodiscard]] bool connected() const { return connected_.load(std::memory_order_relaxed); }
    [[nodiscard]] const strand& executor() const { return strand_; }

private:
    // Commands sent together, and their answers so far. It stays in the queue when its caller has
    // given up, so that later answers find theirs.
    struct request {
        explicit request(const strand& executor) : done(executor) {}
        std::size_t wanted = 0;
        std::vector<reply> replies;
        std::optional<base::error> failed;
        boost::asio::steady_timer done;

        [[nodiscard]] bool complete() const { return replies.size() == wanted; }
    };
    enum class state : std::uint8_t { unused, first_attempt, up, away, stopped };

    base::status admit(std::size_t count, std::size_t bytes);
    bool deliver(reply r);
    void fail_all(const base::error& why);
    void begin();
    static awaitable<void> keep_up(std::shared_ptr<link> self);
    static awaitable<void> write_all(std::shared_ptr<link> self, std::shared_ptr<session> to);
    awaitable<void> read_all(session& from);

    const settings options_;
    const strand strand_;
    base::result<endpoint> to_;
    state state_ = state::unused;
    std::shared_ptr<session> session_;
    std::deque<std::shared_ptr<request>> pipeline_;
    std::size_t in_flight_ = 0; // commands in the pipeline
    std::string outgoing_;      // encoded, not yet given to the socket
    boost::asio::steady_timer writable_;
    boost::asio::steady_timer pause_;
    boost::asio::steady_timer ended_;
    unsigned running_ = 0; // coroutines of this connection
    std::atomic<bool> connected_ = false;
};

} // namespace immortal::redis
