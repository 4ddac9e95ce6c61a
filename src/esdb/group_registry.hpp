// All groups of persistent subscriptions: made, changed, deleted, and found again after a restart.
//
// The list is the last event of `$persistentSubscriptionConfig`, written at an exact revision. A
// change is made when the list is durable: from then on it holds, whatever fails afterwards. A
// group that is in the list and cannot be started (the store refuses a read, say) stays in it,
// answers unavailable, and is started again every few seconds.
//
// Invariant: but for a save whose outcome is unknown, `groups_` is what the list says. After such a
// save the list is read again before the next change.
//
// A list that is tombstoned goes on in `$persistentSubscriptionConfig-1`, `-2`, ..., one that
// cannot be understood in the last of its events that can; both are logged as errors.
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
    static constexpr std::chrono::milliseconds stop_limit{10'000};
    using runner_pointer = std::shared_ptr<group_runner>;

    group_registry(group_services services, boost::asio::any_io_executor executor);

    // Loads the list and starts the groups; until then calls answer unavailable. Errors: those of
    // the store.
    [[nodiscard]] awaitable<base::status> start();
    // start(), again and again until it succeeds; then the same for groups that could not be
    // started. Ends after stop() is called.
    [[nodiscard]] awaitable<void> start_patiently();
    // Tries those groups now.
    [[nodiscard]] awaitable<void> start_left_out();
    // From now on the groups, and changes of them, have so long to write what they have to write.
    // What is not written then is given up: changes fail, events are delivered again after the next
    // start. Before stop(), so that the calls that make changes come to an end.
    void end_writes(std::chrono::milliseconds limit);
    // Within `limit`, and what one append takes then, if the store answers reads.
    [[nodiscard]] awaitable<void> stop(std::chrono::milliseconds limit = stop_limit);
    // Stops everything, consumers are dropped, and loads it again; also after a start() that
    // failed. Errors: those of start(); unavailable (stopped).
    [[nodiscard]] awaitable<base::status> restart();

    // `by`: who asked. Success says that the list is durable. Errors of these: unavailable;
    // invalid_argument (the message is the reason); conflict (someone else wrote to the list:
    // restart() takes over what he wrote); those of the store; and
    // already_exists,
    [[nodiscard]] awaitable<base::status> create(group_definition definition, std::string by);
    // not_found. The filter stays. Consumers are dropped; the group goes on after its checkpoint.
    [[nodiscard]] awaitable<base::status> update(group_definition definition, std::string by);
    // not_found. Consumers are dropped; what the group kept is deleted.
    [[nodiscard]] awaitable<base::status> remove(std::string key, std::string by);

    // Errors: not_found, unavailable (also: the group could not be started yet).
    [[nodiscard]] base::result<runner_pointer> find(const std::string& key);
    // Those that run, by key. Errors: unavailable.
    [[nodiscard]] base::result<std::vector<runner_pointer>> all();

private:
    using guard = runtime::key_locks::guard;
    enum class phase : std::uint8_t { starting, ready, stopped };
    struct group {
        group_definition definition;
        runner_pointer runner; // null: could not be started
    };
    using group_map = std::map<std::string, group>;

    [[nodiscard]] awaitable<base::result<guard>> lock();
    [[nodiscard]] awaitable<base::result<guard>> lock_when_ready();
    [[nodiscard]] awaitable<base::status> load();
    [[nodiscard]] awaitable<base::result<std::vector<group_definition>>> read_list();
    struct stopping; // of several groups at a time
    [[nodiscard]] static awaitable<void> stop_some(std::shared_ptr<stopping> all);
    [[nodiscard]] awaitable<void> stop_all(drop_reason why);
    [[nodiscard]] bool stopped();
    // Writes the list with `changed` in place of the group of that key; without it if it is empty.
    [[nodiscard]] awaitable<base::status>
    save(std::string key, std::optional<group_definition> changed, std::string by);
    [[nodiscard]] std::vector<eventstore::stream_write>
    list_writes(const std::string& key, const std::optional<group_definition>& changed,
                const std::string& by);
    [[nodiscard]] awaitable<base::status> check_start(group_definition& definition);
    // Starts a group of the list; what fails is logged, and tried again later.
    [[nodiscard]] awaitable<void> run(group_definition definition);
    [[nodiscard]] base::result<group> find_group(const std::string& key);

    group_services services_;
    boost::asio::any_io_executor executor_;
    runtime::key_locks changes_; // one change at a time
    runtime::async_event stopped_;

    std::mutex mutex_; // guards what follows
    phase phase_ = phase::starting;
    group_map groups_;
    std::string list_stream_ = group_config_stream;
    std::optional<base::revision> saved_; // of the list's last event
    bool doubtful_ = false;               // what the last save did is not known
};

} // namespace immortal::esdb
