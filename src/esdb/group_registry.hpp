// All groups of persistent subscriptions: made, changed, deleted, and found again after a restart.
//
// The list is the last event of `$persistentSubscriptionConfig`, written at an exact revision: a
// change is durable before it takes effect.
#pragma once

#include "esdb/group_runner.hpp"
#include "runtime/async_event.hpp"
#include "runtime/key_locks.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace immortal::esdb {

// Thread-safe. start() once, stop() before the destructor; everything given outlives it.
class group_registry {
public:
    static constexpr std::size_t groups_max = 10'000;
    using runner_pointer = std::shared_ptr<group_runner>;

    group_registry(group_services services, boost::asio::any_io_executor executor);

    // Loads the list and starts the groups; until then calls answer unavailable. A group that
    // cannot be loaded is logged and left out until the next restart(). Errors: those of the store;
    // corrupt (the list cannot be read).
    [[nodiscard]] awaitable<base::status> start();
    // start(), again and again until it succeeds or stop() is called.
    [[nodiscard]] awaitable<void> start_patiently();
    [[nodiscard]] awaitable<void> stop();
    // Stops everything, consumers are dropped, and loads it again; also after a start() that
    // failed. Errors: those of start(); unavailable (stopped).
    [[nodiscard]] awaitable<base::status> restart();

    // `by`: who asked. Errors of these: unavailable; invalid_argument (the message is the reason);
    // conflict (someone else wrote to the list: restart() takes over what he wrote); those of the
    // store; and
    // already_exists,
    [[nodiscard]] awaitable<base::status> create(group_definition definition, std::string by);
    // not_found. The filter stays. Consumers are dropped; the group goes on after its checkpoint.
    [[nodiscard]] awaitable<base::status> update(group_definition definition, std::string by);
    // not_found. Consumers are dropped; what the group kept is deleted.
    [[nodiscard]] awaitable<base::status> remove(std::string key, std::string by);

    // Errors: not_found, unavailable.
    [[nodiscard]] base::result<runner_pointer> find(const std::string& key);
    // By key. Errors: unavailable.
    [[nodiscard]] base::result<std::vector<runner_pointer>> all();

private:
    using guard = runtime::key_locks::guard;
    using runners = std::map<std::string, runner_pointer>;
    enum class phase : std::uint8_t { starting, ready, stopped };

    [[nodiscard]] awaitable<base::result<guard>> lock();
    [[nodiscard]] awaitable<base::result<guard>> lock_when_ready();
    [[nodiscard]] awaitable<base::status> load();
    [[nodiscard]] awaitable<void> stop_all(drop_reason why);
    // The list with `changed` in place of the group of that key; without it if it is null.
    [[nodiscard]] awaitable<base::status> save(std::string key, const group_definition* changed,
                                               std::string by);
    [[nodiscard]] awaitable<base::status> check_start(group_definition& definition);
    [[nodiscard]] awaitable<base::status> run(group_definition definition);

    group_services services_;
    boost::asio::any_io_executor executor_;
    runtime::key_locks changes_; // one change at a time
    runtime::async_event stopped_;

    std::mutex mutex_; // guards what follows
    phase phase_ = phase::starting;
    runners runners_;
    std::map<std::string, group_definition> left_out_; // could not be loaded; stay in the list
    std::optional<base::revision> saved_;              // of the list's last event
};

} // namespace immortal::esdb
