// One connected consumer: the messages it has been given and not been sent yet, and its end.
#pragma once

#include "esdb/persistent_group.hpp"
#include "runtime/async_event.hpp"

#include <boost/asio/awaitable.hpp>

#include <deque>
#include <mutex>
#include <optional>
#include <string>

namespace immortal::esdb {

using boost::asio::awaitable;

enum class drop_reason : std::uint8_t {
    none,
    dropped,  // the group was updated or restarted, or its source tombstoned
    deleted,  // the group was
    stopping, // the server is
};

// Who consumes, as told by statistics.
struct consumer_identity {
    std::string from; // address
    std::string user;
    std::string connection_name;
};

// Thread-safe; the queue is bounded by the consumer's slots.
class group_consumer {
public:
    group_consumer(consumer_id id, consumer_identity identity)
        : id_(id), identity_(std::move(identity)) {}

    void offer(group_message message);
    void let_go();              // of the bytes of what was offered and not taken
    void drop(drop_reason why); // what was offered and not taken is forgotten; once

    // Waits for the next one; empty: dropped, or cancelled. One reader.
    [[nodiscard]] awaitable<std::optional<group_message>> next();
    [[nodiscard]] drop_reason dropped() const;
    // Waits until it is dropped or the coroutine cancelled.
    [[nodiscard]] awaitable<void> end();

    [[nodiscard]] consumer_id id() const { return id_; }
    [[nodiscard]] const consumer_identity& identity() const { return identity_; }

private:
    const consumer_id id_;
    const consumer_identity identity_;
    runtime::async_event changed_;
    mutable std::mutex mutex_; // guards what follows
    std::deque<group_message> offered_;
    drop_reason dropped_ = drop_reason::none;
};

} // namespace immortal::esdb
