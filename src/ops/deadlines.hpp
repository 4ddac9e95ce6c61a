// Time passes by commands: what is due in `due_commands` becomes ordinary commands, given once in
// effect, whoever gives them and however often.
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "commands/service.hpp"
#include "ops/periodic_job.hpp"
#include "postgres/database.hpp"
#include "readmodel/due_commands.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <memory>

namespace immortal::ops {

struct deadline_settings {
    job_settings job;
    std::size_t page = 256;        // rows read at a time
    milliseconds retry_min{2'000}; // after a command that changed nothing, doubled ...
    milliseconds retry_max{60'000};
};

// One process at a time polls, by the lease `deadlines`. One that was paused and wakes up may still
// give a command that another gave already: the key `deadline:<thing>:<revision>` makes that
// harmless.
class deadline_poller {
public:
    struct parts {
        postgres::database& database;
        commands::service& commands;
        base::clock& clock; // the game's
        base::metrics& metrics;
    };
    // Everything in `parts`, and the executor, outlive it.
    deadline_poller(boost::asio::any_io_executor executor, parts uses, deadline_settings settings);
    ~deadline_poller(); // after stop()
    deadline_poller(const deadline_poller&) = delete;
    deadline_poller& operator=(const deadline_poller&) = delete;

    void start();
    awaitable<void> stop(); // ends after the command under way; gives the lease back

    struct state; // of the implementation

private:
    std::shared_ptr<state> state_;
};

// The command that a row asks for. Errors: invalid_argument (unknown to this version).
[[nodiscard]] base::result<commands::game_command> command_of(const readmodel::due_command& due);

} // namespace immortal::ops
