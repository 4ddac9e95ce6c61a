#include "cache/cache.hpp"

#include "base/log.hpp"
#include "cache/flights.hpp"
#include "cache/invalidation.hpp"
#include "cache/local_level.hpp"
#include "cache/remote_level.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"

namespace immortal::cache {

namespace {

constexpr milliseconds stop_limit{5'000};
constexpr int flight_attempts = 3;

struct class_counters {
    base::counter local;
    base::counter redis;
    base::counter load;
};

class_counters make_counters(base::metrics& metrics, const cache_class& c) {
    const std::string name = "immortal_cache_reads_total";
    const std::string help = "Cached reads by class and by where the value came from";
    const std::string what(c.name);
    return {metrics.make_counter(name, help, {{"class", what}, {"from", "local"}}),
            metrics.make_counter(name, help, {{"class", what}, {"from", "redis"}}),
            metrics.make_counter(name, help, {{"class", what}, {"from", "load"}})};
}

} // namespace

struct layered_cache::state {
    state(boost::asio::any_io_executor executor, redis::client* redis,
          std::unique_ptr<redis::subscriber> listens_to, const base::clock& clock_in,
          base::random_source& random, base::metrics& metrics, settings options_in)
        : clock(clock_in), options(std::move(options_in)),
          local(clock, options.local_unconfirmed, options.exclusive, options.local_entries_max),
          subscriber(std::move(listens_to)), tasks(executor, "cache"),
          local_entries(metrics.make_gauge("immortal_cache_local_entries",
                                           "Entries in the in-process level")),
          local_bytes(
              metrics.make_gauge("immortal_cache_local_bytes", "Bytes in the in-process level")) {
        if (redis != nullptr) {
            remote = std::make_unique<remote_level>(*redis, clock, random, metrics, options);
        }
        for (const cache_class* c : classes::all()) {
            counters.push_back(make_counters(metrics, *c));
        }
    }

    class_counters& count(const key& where) { return counters[where.what().index]; }
    awaitable<base::result<entry>> fetch(key where, std::optional<base::position> after,
                                         loader load);
    awaitable<void> heal();
    awaitable<void> keep_lease();
    awaitable<void> watch_usage();
    awaitable<void> listen();
    void take(const redis::message& message);

    const base::clock& clock;
    const settings options;
    local_level local;
    std::unique_ptr<remote_level> remote;          // may be null
    std::unique_ptr<redis::subscriber> subscriber; // may be null
    flights loading;
    runtime::task_group tasks;
    std::vector<class_counters> counters;
    base::gauge local_entries;
    base::gauge local_bytes;
    std::vector<std::pair<std::string, std::function<awaitable<base::status>()>>> warm;
    std::vector<std::function<awaitable<void>()>> reactions;
};

layered_cache::layered_cache(boost::asio::any_io_executor executor, redis::client* redis,
                             std::unique_ptr<redis::subscriber> subscriber,
                             const base::clock& clock, base::random_source& random,
                             base::metrics& metrics, settings settings)
    : state_(std::make_shared<state>(std::move(executor), redis, std::move(subscriber), clock,
                                     random, metrics, std::move(settings))) {}

layered_cache::~layered_cache() = default;

void layered_cache::start() {
    state& s = *state_;
    s.tasks.spawn(s.watch_usage(), "usage");
    if (s.subscriber) {
        s.tasks.spawn(s.listen(), "invalidations");
    }
    if (s.remote && s.remote->freshens()) {
        s.tasks.spawn(s.keep_lease(), "lease");
    }
}

awaitable<void> layered_cache::stop() {
    const std::shared_ptr<state> s = state_;
    if (s->subscriber) {
        s->subscriber->cancel();
    }
    if (!co_await s->tasks.stop(stop_limit)) {
        base::log_error("cache", "a background task did not end in time");
    }
    if (s->remote) {
        co_await s->remote->release();
    }
}

std::optional<entry> layered_cache::peek(const key& where, std::optional<base::position> after) {
    auto hit = state_->local.find(where, after);
    if (hit) {
        state_->count(where).local.add();
    }
    return hit;
}

awaitable<base::result<entry>>
layered_cache::get_or_load(key where, std::optional<base::position> after, loader load) {
    if (auto hit = peek(where, after)) {
        co_return std::move(*hit);
    }
    const std::shared_ptr<state> s = state_;
    for (int attempt = 0; attempt < flight_attempts; ++attempt) {
        flights::place place = s->loading.join(where.text(), after);
        if (place.alone()) {
            break;
        }
        if (place.leads()) {
            base::result<entry> value = co_await s->fetch(where, after, load);
            place.finish(value);
            co_return value;
        }
        const auto theirs = co_await place.wait(s->options.flight_wait);
        if (!theirs) {
            break;
        }
        const flights::outcome& value = *theirs;
        if (value && (!*value || passes(**value, after))) {
            co_return *value;
        }
    }
    co_return co_await s->fetch(std::move(where), after, std::move(load));
}

awaitable<base::result<entry>>
layered_cache::state::fetch(key where, std::optional<base::position> after, loader load) {
    // Every ticket is taken before the first look at the source.
    const local_level::ticket taken = local.take_ticket(where);
    remote_level::found from;
    if (remote && remote->usable()) {
        from = co_await remote->lookup(where, after);
    }
    if (from.value && from.ticket.empty()) {
        count(where).redis.add();
        local.fill(where, *from.value, taken);
        co_return std::move(*from.value);
    }
    const std::optional<entry> present = from.value;
    base::result<entry> loaded = co_await load(after);
    count(where).load.add();
    if (!loaded) {
        // An early refresh that fails takes nothing away from the reader.
        co_return present ? base::result<entry>(*present) : std::move(loaded);
    }
    if (!passes(*loaded, after)) {
        co_return base::fail(base::errc::behind,
                             "The data is not yet as new as the request asks for.",
                             "read_model_behind");
    }
    local.fill(where, *loaded, taken);
    if (remote && !from.ticket.empty()) {
        co_await remote->fill(where, *loaded, from);
    }
    co_return loaded;
}

awaitable<void> layered_cache::freshen(std::vector<fresh_entry> changes) {
    const std::shared_ptr<state> s = state_;
    std::erase_if(changes, [](const fresh_entry& change) {
        return change.where.what().write == write_strategy::around;
    });
    for (const fresh_entry& change : changes) {
        if (change.where.what().write == write_strategy::through) {
            s->local.freshen(change.where, change.value);
        } else {
            s->local.invalidate(change.where.what().index, change.where.text(),
                                change.value.position);
        }
    }
    if (!s->remote || changes.empty()) {
        co_return;
    }
    co_await s->heal();
    co_await s->remote->freshen(changes);
}

awaitable<bool> layered_cache::forget(key where) {
    const std::shared_ptr<state> s = state_;
    s->local.forget(where.what().index, where.text());
    if (!s->remote) {
        co_return true;
    }
    co_return co_await s->remote->forget(where);
}

awaitable<base::result<std::uint64_t>> layered_cache::forget_matching(std::string pattern) {
    const std::shared_ptr<state> s = state_;
    s->local.clear();
    if (!s->remote) {
        co_return std::uint64_t{0};
    }
    auto removed = co_await s->remote->forget_matching(std::move(pattern));
    s->local.clear();
    co_return removed;
}

void layered_cache::register_warm_up(std::string name,
                                     std::function<awaitable<base::status>()> fill) {
    state_->warm.emplace_back(std::move(name), std::move(fill));
}

awaitable<std::size_t> layered_cache::warm_up() {
    const std::shared_ptr<state> s = state_;
    std::size_t done = 0;
    for (const auto& [name, fill] : s->warm) {
        const base::status outcome = co_await fill();
        if (outcome) {
            ++done;
        } else {
            base::log_warning("cache", "warm-up failed",
                              {{"key", name}, {"error", outcome.error().message}});
        }
    }
    co_return done;
}

void layered_cache::on_generation_change(std::function<awaitable<void>()> react) {
    state_->reactions.push_back(std::move(react));
}

health_report layered_cache::health() const {
    health_report out;
    if (state_->remote) {
        state_->remote->report(out);
    }
    out.local_confirmed = state_->local.confirmed();
    return out;
}

// Makes Redis trusted again, if something was missed and Redis answers.
awaitable<void> layered_cache::state::heal() {
    if (remote->trusted() || remote->paused()) {
        co_return;
    }
    if (co_await remote->renew()) {
        for (const auto& react : reactions) {
            co_await react();
        }
    }
}

awaitable<void> layered_cache::state::keep_lease() {
    do {
        if (remote->trusted()) {
            co_await remote->beat();
        }
        co_await heal();
    } while (co_await runtime::wait_for(options.heartbeat));
}

awaitable<void> layered_cache::state::watch_usage() {
    do {
        const local_level::usage used = local.used();
        local_entries.set(static_cast<double>(used.entries));
        local_bytes.set(static_cast<double>(used.bytes));
    } while (co_await runtime::wait_for(std::chrono::seconds(1)));
}

awaitable<void> layered_cache::state::listen() {
    for (;;) {
        auto next = co_await subscriber->next();
        if (!next) {
            if (next.error().code != base::errc::cancelled) {
                base::log_error("cache", "no invalidations are received",
                                {{"error", next.error().message}});
            }
            co_return;
        }
        if (!*next) {
            // Messages may have been missed. Confirmed again with the next sign of life.
            local.confirm_until({});
            local.clear();
        } else {
            take(**next);
        }
    }
}

void layered_cache::state::take(const redis::message& message) {
    const auto told = decode_invalidation(message.payload);
    if (!told) {
        local.clear();
        return;
    }
    if (told->what == invalidation::kind::alive) {
        local.confirm_until(clock.steady_now() + 2 * options.heartbeat);
        return;
    }
    if (remote && told->sender == remote->sender()) {
        return; // done here before it was sent
    }
    switch (told->what) {
    case invalidation::kind::changed:
        for (const auto& item : told->items) {
            local.invalidate(item.class_index, item.key_text, item.position);
        }
        break;
    case invalidation::kind::forget:
        for (const auto& item : told->items) {
            local.forget(item.class_index, item.key_text);
        }
        break;
    case invalidation::kind::clear:
    case invalidation::kind::renewed:
        local.clear();
        break;
    case invalidation::kind::alive:
        break;
    }
}

} // namespace immortal::cache
