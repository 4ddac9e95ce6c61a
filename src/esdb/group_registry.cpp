#include "esdb/group_registry.hpp"

#include "base/log.hpp"
#include "eventlog/stream_metadata.hpp"

#include <fmt/format.h>

#include <utility>

namespace immortal::esdb {
namespace {

using base::errc;
using eventlog::expected_revision;
using eventstore::direction;

constexpr char the_list[] = "list";
constexpr std::chrono::seconds lock_limit{30};
constexpr std::chrono::seconds start_pause{5};

base::error not_ready() {
    return {errc::unavailable, "Persistent subscriptions are not ready."};
}

base::error no_such_group(const std::string& key) {
    return {errc::not_found, "There is no group '" + key + "'."};
}

eventstore::new_event make_event(base::random_source& random, std::string type, std::string data) {
    return {base::uuid::make_random(random),
            std::move(type),
            std::move(data),
            {},
            eventlog::content::json};
}

} // namespace

group_registry::group_registry(group_services services, boost::asio::any_io_executor executor)
    : services_(services), executor_(std::move(executor)) {}

awaitable<base::result<group_registry::guard>> group_registry::lock() {
    std::vector<std::string> keys{the_list};
    co_return co_await changes_.lock(std::move(keys), lock_limit);
}

awaitable<base::result<group_registry::guard>> group_registry::lock_when_ready() {
    auto held = co_await lock();
    if (!held) {
        co_return held;
    }
    const std::lock_guard lock(mutex_);
    if (phase_ != phase::ready) {
        co_return base::fail(not_ready());
    }
    co_return held;
}

awaitable<base::status> group_registry::start() {
    auto held = co_await lock();
    if (!held) {
        co_return base::fail(held.error());
    }
    {
        const std::lock_guard lock(mutex_);
        if (phase_ != phase::starting) {
            co_return base::fail(not_ready());
        }
    }
    co_return co_await load();
}

awaitable<void> group_registry::start_patiently() {
    for (;;) {
        const auto seen = stopped_.version();
        const auto started = co_await start();
        {
            const std::lock_guard lock(mutex_);
            if (started || phase_ != phase::starting) {
                co_return;
            }
        }
        base::log_error("esdb", "persistent subscriptions cannot be loaded; it is tried again",
                        {{"what", started.error().message}});
        (void)co_await stopped_.wait(seen, start_pause);
    }
}

awaitable<base::status> group_registry::load() {
    const auto last = co_await services_.store.read_stream(
        group_config_stream, eventlog::tombstone_revision, direction::backwards, 1);
    if (!last) {
        co_return base::fail(last.error());
    }
    std::vector<group_definition> definitions;
    if (!last->events.empty()) {
        auto parsed = parse_config(last->events.front().data);
        if (!parsed) {
            co_return base::fail(parsed.error());
        }
        definitions = std::move(*parsed);
    }
    for (group_definition& one : definitions) {
        const std::string key = one.key();
        const auto running = co_await run(one);
        if (!running) {
            base::log_error("esdb", "a persistent subscription cannot be loaded",
                            {{"group", key}, {"what", running.error().message}});
            const std::lock_guard lock(mutex_);
            left_out_.emplace(key, std::move(one));
        }
    }
    const std::lock_guard lock(mutex_);
    saved_ = last->last;
    if (phase_ == phase::starting) {
        phase_ = phase::ready;
    }
    co_return base::status{};
}

awaitable<base::status> group_registry::run(group_definition definition) {
    const std::string key = definition.key();
    auto runner = std::make_shared<group_runner>(services_, executor_, std::move(definition));
    const auto started = co_await runner->start();
    if (started) {
        const std::lock_guard lock(mutex_);
        runners_[key] = std::move(runner);
    }
    co_return started;
}

awaitable<void> group_registry::stop_all(drop_reason why) {
    runners stopped;
    {
        const std::lock_guard lock(mutex_);
        stopped = std::exchange(runners_, {});
        left_out_.clear();
    }
    for (auto& [key, runner] : stopped) {
        co_await runner->stop(why);
    }
}

awaitable<void> group_registry::stop() {
    {
        const std::lock_guard lock(mutex_);
        phase_ = phase::stopped;
    }
    stopped_.notify_all();
    const auto held = co_await lock();
    co_await stop_all(drop_reason::stopping);
}

awaitable<base::status> group_registry::restart() {
    auto held = co_await lock();
    if (!held) {
        co_return base::fail(held.error());
    }
    {
        const std::lock_guard lock(mutex_);
        if (phase_ == phase::stopped) {
            co_return base::fail(not_ready());
        }
        phase_ = phase::starting;
    }
    co_await stop_all(drop_reason::dropped);
    co_return co_await load();
}

awaitable<base::status> group_registry::check_start(group_definition& definition) {
    if (const auto fine = check(definition.settings); !fine) {
        co_return fine;
    }
    if (definition.filter) {
        const auto tried =
            co_await services_.store.read_all({0}, direction::forwards, 1, *definition.filter);
        if (!tried) {
            co_return base::fail(tried.error());
        }
    }
    const auto head = services_.store.head();
    if (definition.of_all()) {
        if (definition.start.what == group_start::kind::place &&
            definition.start.place > (head ? head->value : 0)) {
            co_return base::fail(errc::invalid_argument,
                                 "The position to start from is beyond the end of $all.");
        }
        if (definition.start.what == group_start::kind::end && head) {
            definition.end_was = head->value;
        }
    } else if (definition.start.what == group_start::kind::end) {
        const auto last = co_await services_.store.read_stream(
            definition.stream, eventlog::tombstone_revision, direction::backwards, 1);
        if (!last) {
            co_return base::fail(last.error().code, last.error().message);
        }
        if (last->last) {
            definition.end_was = last->last->value;
        }
    }
    co_return base::status{};
}

awaitable<base::status> group_registry::save(std::string key, const group_definition* changed,
                                             std::string by) {
    std::vector<group_definition> groups;
    std::optional<base::revision> saved;
    {
        const std::lock_guard lock(mutex_);
        std::map<std::string, group_definition> by_key = left_out_;
        for (const auto& [name, runner] : runners_) {
            by_key.insert_or_assign(name, runner->definition());
        }
        by_key.erase(key);
        if (changed != nullptr) {
            by_key.insert_or_assign(key, *changed);
        }
        for (auto& [name, one] : by_key) {
            groups.push_back(std::move(one));
        }
        saved = saved_;
    }
    if (groups.size() > groups_max) {
        co_return base::fail(errc::invalid_argument,
                             fmt::format("There are {} groups, as many as may be.", groups_max));
    }
    std::vector<eventstore::stream_write> writes;
    if (!saved) {
        writes.push_back(
            {eventlog::metadata_stream_of(group_config_stream),
             expected_revision::any(),
             {make_event(services_.random, eventlog::metadata_type, R"({"$maxCount":2})")}});
    }
    writes.push_back({group_config_stream,
                      expected_revision::after(saved),
                      {make_event(services_.random, group_config_type,
                                  config_text(groups, services_.clock.now(), by))}});
    const auto written = co_await append_surely(services_.store, std::move(writes));
    if (!written) {
        const bool foreign = written.error().code == errc::conflict;
        co_return base::fail(written.error().code,
                             foreign ? "The configuration was changed by someone else; restart the "
                                       "persistent subscriptions to take it over."
                                     : written.error().message);
    }
    const std::lock_guard lock(mutex_);
    saved_ = written->last_revisions.back();
    co_return base::status{};
}

awaitable<base::status> group_registry::create(group_definition definition, std::string by) {
    auto held = co_await lock_when_ready();
    if (!held) {
        co_return base::fail(held.error());
    }
    const std::string key = definition.key();
    {
        const std::lock_guard lock(mutex_);
        if (runners_.contains(key) || left_out_.contains(key)) {
            co_return base::fail(errc::already_exists, "There is a group '" + key + "' already.");
        }
    }
    auto done = co_await check_start(definition);
    if (done) { // what an earlier group of this name may have left
        done = co_await group_storage(services_, key, definition.of_all()).remove();
    }
    if (done) {
        done = co_await save(key, &definition, std::move(by));
    }
    if (done) {
        done = co_await run(std::move(definition));
    }
    co_return done;
}

awaitable<base::status> group_registry::update(group_definition definition, std::string by) {
    auto held = co_await lock_when_ready();
    if (!held) {
        co_return base::fail(held.error());
    }
    const std::string key = definition.key();
    auto old = find(key);
    if (!old) {
        co_return base::fail(old.error());
    }
    const group_definition before = (*old)->definition();
    definition.filter = before.filter;
    auto done = co_await check_start(definition);
    if (done) {
        if (definition.start == before.start) {
            definition.end_was = before.end_was;
        }
        done = co_await save(key, &definition, std::move(by));
    }
    if (!done) {
        co_return done;
    }
    co_await (*old)->stop(drop_reason::dropped);
    co_return co_await run(std::move(definition));
}

awaitable<base::status> group_registry::remove(std::string key, std::string by) {
    auto held = co_await lock_when_ready();
    if (!held) {
        co_return base::fail(held.error());
    }
    auto old = find(key);
    if (!old) {
        co_return base::fail(old.error());
    }
    auto done = co_await save(key, nullptr, std::move(by));
    if (!done) {
        co_return done;
    }
    {
        const std::lock_guard lock(mutex_);
        runners_.erase(key);
    }
    co_await (*old)->stop(drop_reason::deleted);
    co_return co_await (*old)->remove();
}

base::result<group_registry::runner_pointer> group_registry::find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    if (phase_ != phase::ready) {
        return base::fail(not_ready());
    }
    const auto found = runners_.find(key);
    return found == runners_.end() ? base::result<runner_pointer>(base::fail(no_such_group(key)))
                                   : found->second;
}

base::result<std::vector<group_registry::runner_pointer>> group_registry::all() {
    const std::lock_guard lock(mutex_);
    if (phase_ != phase::ready) {
        return base::fail(not_ready());
    }
    std::vector<runner_pointer> out;
    for (const auto& [key, runner] : runners_) {
        out.push_back(runner);
    }
    return out;
}

} // namespace immortal::esdb
