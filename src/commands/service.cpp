#include "commands/service.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "commands/execution.hpp"

namespace immortal::commands {

namespace {

constexpr milliseconds stop_margin{2'000}; // beyond the timeout of the commands under way

service_settings completed(service_settings settings, eventstore::event_store& store) {
    IMMORTAL_ASSERT(settings.attempts_max > 0 && settings.rules.time_scale > 0);
    if (settings.name_key.empty()) {
        settings.name_key = "player names of " + store.identity().id.text();
    }
    IMMORTAL_ASSERT(settings.name_key.size() >= 16 && settings.name_key.size() <= 64);
    return settings;
}

struct under_way {
    service::state& of;
    explicit under_way(service::state& s) : of(s) { ++of.under_way; }
    ~under_way() {
        if (--of.under_way == 0 && of.stopping) {
            of.ended.notify_all();
        }
    }
    under_way(const under_way&) = delete;
    under_way& operator=(const under_way&) = delete;
};

base::counter outcome_counter(base::metrics& metrics, std::size_t kind, std::string_view how) {
    return metrics.make_counter(
        "immortal_commands_total", "Game commands by kind and outcome.",
        {{"command", std::string(command_names()[kind])}, {"outcome", std::string(how)}});
}

std::vector<base::counter> outcome_counters(base::metrics& metrics, std::string_view how) {
    std::vector<base::counter> out;
    for (std::size_t kind = 0; kind < command_names().size(); ++kind) {
        out.push_back(outcome_counter(metrics, kind, how));
    }
    return out;
}

void count(service::state& with, std::size_t kind, const base::result<outcome>& answer) {
    if (answer) {
        (answer->repeated ? with.repeated : with.done)[kind].add();
    } else {
        outcome_counter(with.uses.metrics, kind, base::name_of(answer.error().code)).add();
    }
}

awaitable<base::result<outcome>> execute_counted(std::shared_ptr<service::state> with, actor who,
                                                 std::string key, game_command command) {
    const under_way guard(*with);
    if (with->stopping) {
        co_return base::fail(base::errc::unavailable, "The server is stopping; try again.");
    }
    if (key.empty() || key.size() > idempotency_key_size_max) {
        co_return base::fail(base::errc::invalid_argument,
                             "An idempotency key has 1 to 255 characters.", {}, "Idempotency-Key");
    }
    const auto begun = with->uses.clock.steady_now();
    const std::size_t kind = command.index();
    execution way(with, make_request(who, key, std::move(command)));
    auto answer = co_await way.run();
    const std::chrono::duration<double> took = with->uses.clock.steady_now() - begun;
    with->seconds.observe(took.count());
    count(*with, kind, answer);
    co_return answer;
}

} // namespace

service::state::state(boost::asio::any_io_executor executor, parts with, service_settings options)
    : uses(with), settings(completed(std::move(options), with.store)),
      background(std::move(executor), "commands"), locks(settings.waiting_max),
      players(uses.store, background,
              {settings.aggregates_max, settings.hot_bytes_max, settings.snapshot_every,
               settings.snapshots_max}),
      sessions(uses.store, background,
               {settings.aggregates_max, settings.hot_bytes_max, settings.snapshot_every,
                settings.snapshots_max}),
      keys(settings.keys_remembered), owners(settings.aggregates_max),
      seconds(uses.metrics.make_histogram("immortal_commands_seconds",
                                          "Time of a game command, durable.",
                                          base::metrics::latency_bounds())),
      done(outcome_counters(uses.metrics, "done")),
      repeated(outcome_counters(uses.metrics, "repeated")),
      conflicts(uses.metrics.make_counter("immortal_commands_conflicts_total",
                                          "Appends that met another writer.")),
      unknowns(uses.metrics.make_counter("immortal_commands_unknown_total",
                                         "Appends repeated because their outcome was unknown.")) {}

service::service(boost::asio::any_io_executor executor, parts uses, service_settings settings)
    : state_(std::make_shared<state>(std::move(executor), uses, std::move(settings))) {}

service::~service() = default;

awaitable<void> service::stop() {
    const auto with = state_;
    with->stopping = true;
    const auto limit = with->settings.timeout + stop_margin;
    const auto until = std::chrono::steady_clock::now() + limit;
    for (;;) {
        const auto seen = with->ended.version();
        const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
        if (with->under_way == 0 || left.count() <= 0) {
            break;
        }
        (void)co_await with->ended.wait(seen, left);
    }
    if (with->under_way != 0) {
        base::log_error("commands", "commands are still under way at the stop",
                        {{"commands", with->under_way.load()}});
    }
    (void)co_await with->background.stop(stop_margin);
}

awaitable<base::result<outcome>> service::execute(actor who, std::string key,
                                                  game_command command) {
    return execute_counted(state_, who, std::move(key), std::move(command));
}

std::string make_key(base::random_source& random) {
    return base::random_hex(random, 16);
}

} // namespace immortal::commands
