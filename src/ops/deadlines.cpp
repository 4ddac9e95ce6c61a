#include "ops/deadlines.hpp"

#include "base/log.hpp"
#include "game/cultivation.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace immortal::ops {

namespace {

// What was tried for one row and did not make it go away yet.
struct attempt {
    base::steady_time next;
    milliseconds wait{0};
};

base::counter outcome_counter(base::metrics& metrics, const char* outcome) {
    return metrics.make_counter("immortal_deadlines_total",
                                "Commands given because they were due, by outcome.",
                                {{"outcome", outcome}});
}

} // namespace

struct deadline_poller::state {
    state(boost::asio::any_io_executor executor, parts with, deadline_settings options)
        : uses(with), settings(std::move(options)),
          job(std::move(executor), uses.database, uses.metrics, "deadlines", settings.job,
              [this] { return sweep(); }),
          done(outcome_counter(uses.metrics, "done")),
          settled(outcome_counter(uses.metrics, "settled")),
          failed(outcome_counter(uses.metrics, "failed")),
          waiting(uses.metrics.make_gauge("immortal_deadlines_due",
                                          "Rows that were due at the last look.")) {}

    awaitable<void> sweep();
    awaitable<void> give(const readmodel::due_command& due, attempt& one);
    void put_off(attempt& one) const;

    parts uses;
    deadline_settings settings;
    periodic_job job;
    std::unordered_map<std::string, attempt> tried; // by key
    base::counter done;
    base::counter settled;
    base::counter failed;
    base::gauge waiting;
};

void deadline_poller::state::put_off(attempt& one) const {
    one.wait =
        one.wait.count() == 0 ? settings.retry_min : std::min(one.wait * 2, settings.retry_max);
    one.next = uses.clock.steady_now() + one.wait;
}

awaitable<void> deadline_poller::state::give(const readmodel::due_command& due, attempt& one) {
    put_off(one); // until the read model has taken the row away
    auto command = command_of(due);
    const auto answer = command ? co_await uses.commands.execute(commands::system_actor(),
                                                                 readmodel::key_of(due), *command)
                                : base::result<commands::outcome>(base::fail(command.error()));
    if (answer) {
        (answer->repeated ? settled : done).add();
        co_return;
    }
    if (answer.error().reason == "session_ended") {
        settled.add(); // the player was faster
        co_return;
    }
    failed.add();
    base::log_warning("ops", "a command that is due was not accepted",
                      {{"thing", due.thing},
                       {"command", due.command},
                       {"why", answer.error().message},
                       {"again_in_ms", one.wait.count()}});
}

// One look at everything that is due.
awaitable<void> deadline_poller::state::sweep() {
    std::unordered_map<std::string, attempt> seen;
    std::optional<readmodel::due_cursor> after;
    for (bool end = false; !end;) {
        const auto page = co_await readmodel::load_due(uses.database, job.fence(), uses.clock.now(),
                                                       after, settings.page);
        if (!page) {
            co_return;
        }
        for (const readmodel::due_command& due : *page) {
            if (job.stopping() || !co_await job.still_held()) {
                co_return;
            }
            const std::string key = readmodel::key_of(due);
            const auto before = tried.find(key);
            attempt& one = seen[key] = before != tried.end() ? before->second : attempt{};
            if (one.next <= uses.clock.steady_now()) {
                co_await give(due, one);
            }
            after = readmodel::due_cursor{due.due_at, due.thing};
        }
        end = page->size() < settings.page;
    }
    waiting.set(static_cast<double>(seen.size()));
    tried = std::move(seen); // rows that went away are forgotten
}

base::result<commands::game_command> command_of(const readmodel::due_command& due) {
    if (due.command == readmodel::complete_unattended_command) {
        if (const auto session = game::cultivation::id_of_stream(due.thing)) {
            return commands::complete_unattended{*session};
        }
    }
    return base::fail(base::errc::invalid_argument,
                      "This version does not know the command \"" + due.command + "\".");
}

deadline_poller::deadline_poller(boost::asio::any_io_executor executor, parts uses,
                                 deadline_settings settings)
    : state_(std::make_shared<state>(std::move(executor), uses, std::move(settings))) {}

deadline_poller::~deadline_poller() = default;

void deadline_poller::start() {
    state_->job.start();
}

awaitable<void> deadline_poller::stop() {
    return state_->job.stop();
}

} // namespace immortal::ops
