// One command on its way: find the aggregates, decide, append, find out what became of it.
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "commands/aggregates.hpp"
#include "commands/bounded_map.hpp"
#include "commands/decision.hpp"
#include "commands/request.hpp"
#include "commands/service.hpp"
#include "runtime/async_event.hpp"
#include "runtime/key_locks.hpp"
#include "runtime/task_group.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::commands {

// What all executions of a service share.
struct service::state {
    state(boost::asio::any_io_executor executor, parts uses, service_settings options);

    parts uses;
    service_settings settings;
    runtime::task_group background;
    runtime::key_locks locks;
    aggregates<game::player::state> players;
    aggregates<game::cultivation::state> sessions;
    bounded_map<base::uuid, game::request_hash> keys; // command id -> its request
    bounded_map<base::uuid, base::uuid> owners;       // session -> player: never changes
    std::atomic<bool> stopping = false;
    std::atomic<std::size_t> under_way = 0;
    runtime::async_event ended;
    base::histogram seconds;
    std::vector<base::counter> done;     // by kind of command
    std::vector<base::counter> repeated; // by kind of command
    base::counter conflicts;
    base::counter unknowns;
};

class execution {
public:
    execution(std::shared_ptr<service::state> with, request what);

    // Call once.
    awaitable<base::result<outcome>> run();

private:
    using player_home = aggregates<game::player::state>::pointer;
    using session_home = aggregates<game::cultivation::state>::pointer;

    awaitable<base::status> find_targets();
    awaitable<base::status> find_running_session(base::uuid player);
    awaitable<base::result<base::uuid>> owner_of(base::uuid session);
    awaitable<base::status> load();
    awaitable<base::status> reload();
    awaitable<std::optional<base::result<outcome>>> first_answer();
    [[nodiscard]] std::optional<base::error> not_allowed() const;
    awaitable<std::optional<base::result<outcome>>> attempt();
    awaitable<base::result<bool>> find_name();
    awaitable<std::optional<base::result<outcome>>> refuse(base::error why);
    awaitable<base::result<bool>> heads_moved();
    awaitable<std::optional<base::result<outcome>>> append(decision made, base::utc_time at);
    awaitable<base::result<eventstore::append_outcome>>
    append_until_known(std::vector<eventstore::stream_write> writes, bool* asked_again);
    [[nodiscard]] std::vector<eventstore::stream_write> batch(const decision& made,
                                                              base::utc_time at) const;
    [[nodiscard]] outcome accept(decision made, const eventstore::append_outcome& done);
    awaitable<bool> pause(); // false: the deadline leaves no room
    [[nodiscard]] milliseconds time_left() const;

    std::shared_ptr<service::state> with_;
    request of_;
    base::steady_time deadline_;
    milliseconds wait_;

    // Targets.
    base::uuid created_;
    std::string name_;                            // of create_player, normalised
    std::string name_stream_;                     // written by this command; empty: none
    std::optional<base::revision> name_revision_; // of name_stream_, if it exists
    std::string player_stream_;                   // the home
    std::string session_stream_;                  // empty: no session takes part
    bool creates_player_ = false;
    bool creates_session_ = false;
    bool erases_player_ = false;

    // Loaded.
    player_home player_;
    session_home session_;
    bool fresh_ = false;  // both were read from the store in this attempt
    bool looked_ = false; // what the command creates has been looked for in the store
};

} // namespace immortal::commands
