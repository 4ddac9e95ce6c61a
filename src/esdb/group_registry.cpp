#include "esdb/group_registry.hpp"

#include "base/log.hpp"
#include "eventlog/stream_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace immortal::esdb {
namespace {

using base::errc;
using eventlog::expected_revision;
using eventstore::direction;

constexpr char the_list[] = "list";
constexpr std::chrono::seconds lock_limit{30};
constexpr std::chrono::seconds start_pause{5};
constexpr int list_streams_max = 10;
constexpr std::size_t list_events_looked_at = 16;

base::error not_ready() {
    return {errc::unavailable, "Persistent subscriptions are not ready."};
}

base::error not_started(const std::string& key) {
    return {errc::unavailable, "The group '" + key + "' is not started yet; it is tried again."};
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
    bool doubtful = false;
    {
        const std::lock_guard lock(mutex_);
        if (phase_ != phase::ready || services_.writing->over()) {
            co_return base::fail(not_ready());
        }
        doubtful = doubtful_;
        phase_ = doubtful ? phase::starting : phase_; // until the list is read
    }
    if (doubtful) {
        co_await stop_all(drop_reason::dropped);
        if (auto loaded = co_await load(); !loaded) {
            co_return base::fail(std::move(loaded.error()));
        }
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
        bool loaded = false;
        {
            const std::lock_guard lock(mutex_);
            if (phase_ == phase::stopped) {
                co_return;
            }
            loaded = phase_ == phase::ready;
        }
        if (loaded) {
            co_await start_left_out();
        } else if (const auto started = co_await start(); !started) {
            base::log_error("esdb", "persistent subscriptions cannot be loaded; it is tried again",
                            {{"what", started.error().message}});
        }
        (void)co_await stopped_.wait(seen, start_pause);
    }
}

awaitable<void> group_registry::start_left_out() {
    const auto any_left_out = [this] {
        const std::lock_guard lock(mutex_);
        return phase_ == phase::ready &&
               (doubtful_ ||
                std::ranges::any_of(groups_, [](const auto& one) { return !one.second.runner; }));
    };
    if (!any_left_out()) {
        co_return;
    }
    const auto held = co_await lock_when_ready();
    if (!held) {
        co_return;
    }
    std::vector<group_definition> left_out;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [key, one] : groups_) {
            if (!one.runner) {
                left_out.push_back(one.definition);
            }
        }
    }
    for (group_definition& one : left_out) {
        if (stopped()) {
            break;
        }
        co_await run(std::move(one));
    }
}

// The list, and from here on the stream and the revision after which it is written.
awaitable<base::result<std::vector<group_definition>>> group_registry::read_list() {
    std::string stream = group_config_stream;
    auto page = co_await services_.store.read_stream(stream, eventlog::tombstone_revision,
                                                     direction::backwards, list_events_looked_at);
    for (int number = 1; number < list_streams_max && !page && page.error().code == errc::deleted;
         ++number) {
        base::log_error("esdb",
                        "the list of persistent subscriptions is tombstoned; it goes on in another "
                        "stream. Create the subscriptions again that are missing",
                        {{"stream", stream}});
        stream = fmt::format("{}-{}", group_config_stream, number);
        page = co_await services_.store.read_stream(stream, eventlog::tombstone_revision,
                                                    direction::backwards, list_events_looked_at);
    }
    if (!page) {
        co_return base::fail(std::move(page.error()));
    }
    if (page->events.empty() && page->last) {
        base::log_error("esdb",
                        "the list of persistent subscriptions was deleted. Create the "
                        "subscriptions again",
                        {{"stream", stream}});
    }
    std::vector<group_definition> definitions;
    for (const auto& event : page->events) {
        auto parsed = parse_config(event.data);
        if (parsed) {
            definitions = std::move(*parsed);
            break;
        }
        base::log_error("esdb",
                        "the list of persistent subscriptions cannot be understood; the one before "
                        "it is used. Create the subscriptions again that are missing",
                        {{"stream", stream},
                         {"revision", event.revision.value},
                         {"why", parsed.error().message}});
    }
    const std::lock_guard lock(mutex_);
    list_stream_ = std::move(stream);
    saved_ = page->last;
    co_return definitions;
}

awaitable<base::status> group_registry::load() {
    auto definitions = co_await read_list();
    if (!definitions) {
        co_return base::fail(std::move(definitions.error()));
    }
    for (group_definition& one : *definitions) {
        if (stopped()) {
            break;
        }
        if (!find_group(one.key())) { // a list of others may name one twice
            co_await run(std::move(one));
        }
    }
    const std::lock_guard lock(mutex_);
    doubtful_ = false;
    if (phase_ == phase::starting) {
        phase_ = phase::ready;
    }
    co_return base::status{};
}

awaitable<void> group_registry::run(group_definition definition) {
    const std::string key = definition.key();
    auto runner = std::make_shared<group_runner>(services_, executor_, definition);
    const auto started = co_await runner->start();
    if (!started) {
        base::log_error("esdb", "a persistent subscription cannot be started; it is tried again",
                        {{"group", key}, {"what", started.error().message}});
        runner = nullptr;
    }
    const std::lock_guard lock(mutex_);
    groups_.insert_or_assign(key, group{std::move(definition), std::move(runner)});
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

std::vector<eventstore::stream_write>
group_registry::list_writes(const std::string& key, const std::optional<group_definition>& changed,
                            const std::string& by) {
    std::vector<group_definition> list;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, one] : groups_) {
        if (name != key) {
            list.push_back(one.definition);
        }
    }
    if (changed) {
        const auto place = std::ranges::lower_bound(list, key, {}, &group_definition::key);
        list.insert(place, *changed);
    }
    std::vector<eventstore::stream_write> writes;
    if (list.size() > groups_max) {
        return writes;
    }
    if (!saved_) {
        writes.push_back(
            {eventlog::metadata_stream_of(list_stream_),
             expected_revision::any(),
             {make_event(services_.random, eventlog::metadata_type, R"({"$maxCount":2})")}});
    }
    writes.push_back({list_stream_,
                      expected_revision::after(saved_),
                      {make_event(services_.random, group_config_type,
                                  config_text(list, services_.clock.now(), by))}});
    return writes;
}

awaitable<base::status>
group_registry::save(std::string key, std::optional<group_definition> changed, std::string by) {
    auto writes = list_writes(key, changed, by);
    if (writes.empty()) {
        co_return base::fail(errc::invalid_argument,
                             fmt::format("There are {} groups, as many as may be.", groups_max));
    }
    const auto written = co_await append_surely(services_, std::move(writes));
    const std::lock_guard lock(mutex_);
    if (!written) {
        doubtful_ = written.error().code == errc::unknown_outcome;
        const bool foreign = written.error().code == errc::conflict;
        co_return base::fail(written.error().code,
                             foreign ? "The configuration was changed by someone else; restart the "
                                       "persistent subscriptions to take it over."
                                     : written.error().message);
    }
    saved_ = written->last_revisions.back();
    co_return base::status{};
}

awaitable<base::status> group_registry::create(group_definition definition, std::string by) {
    auto held = co_await lock_when_ready();
    if (!held) {
        co_return base::fail(held.error());
    }
    const std::string key = definition.key();
    if (find_group(key)) {
        co_return base::fail(errc::already_exists, "There is a group '" + key + "' already.");
    }
    auto done = co_await check_start(definition);
    if (done) { // what an earlier group of this name may have left
        done = co_await group_storage(services_, key, definition.of_all()).clear();
    }
    if (done) {
        done = co_await save(key, definition, std::move(by));
    }
    if (done) {
        co_await run(std::move(definition));
    }
    co_return done;
}

awaitable<base::status> group_registry::update(group_definition definition, std::string by) {
    auto held = co_await lock_when_ready();
    if (!held) {
        co_return base::fail(held.error());
    }
    const std::string key = definition.key();
    const auto old = find_group(key);
    if (!old) {
        co_return base::fail(old.error());
    }
    definition.filter = old->definition.filter;
    auto done = co_await check_start(definition);
    if (done) {
        if (definition.start == old->definition.start) {
            definition.end_was = old->definition.end_was;
        }
        done = co_await save(key, definition, std::move(by));
    }
    if (!done) {
        co_return done;
    }
    if (old->runner) {
        (void)co_await old->runner->stop(drop_reason::dropped);
    }
    co_await run(std::move(definition));
    co_return done;
}

awaitable<base::status> group_registry::remove(std::string key, std::string by) {
    auto held = co_await lock_when_ready();
    if (!held) {
        co_return base::fail(held.error());
    }
    const auto old = find_group(key);
    if (!old) {
        co_return base::fail(old.error());
    }
    if (auto done = co_await save(key, std::nullopt, std::move(by)); !done) {
        co_return done;
    }
    {
        const std::lock_guard lock(mutex_);
        groups_.erase(key);
    }
    if (old->runner) {
        (void)co_await old->runner->stop(drop_reason::deleted);
    }
    const auto removed = co_await group_storage(services_, key, old->definition.of_all()).remove();
    if (!removed) { // create() does it for the next group of that name
        base::log_warning("esdb", "what a deleted persistent subscription kept is left over",
                          {{"group", key}, {"what", removed.error().message}});
    }
    co_return base::status{};
}

base::result<group_registry::group> group_registry::find_group(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = groups_.find(key);
    return found == groups_.end() ? base::result<group>(base::fail(no_such_group(key)))
                                  : found->second;
}

base::result<group_registry::runner_pointer> group_registry::find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    if (phase_ != phase::ready) {
        return base::fail(not_ready());
    }
    const auto found = groups_.find(key);
    if (found == groups_.end()) {
        return base::fail(no_such_group(key));
    }
    return found->second.runner ? base::result<runner_pointer>(found->second.runner)
                                : base::fail(not_started(key));
}

base::result<std::vector<group_registry::runner_pointer>> group_registry::all() {
    const std::lock_guard lock(mutex_);
    if (phase_ != phase::ready) {
        return base::fail(not_ready());
    }
    std::vector<runner_pointer> out;
    for (const auto& [key, one] : groups_) {
        if (one.runner) {
            out.push_back(one.runner);
        }
    }
    return out;
}

} // namespace immortal::esdb
