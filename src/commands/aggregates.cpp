#include "commands/aggregates.hpp"

#include "base/log.hpp"
#include "eventlog/stream_metadata.hpp"

#include <atomic>
#include <limits>

namespace immortal::commands {

namespace {

constexpr std::size_t page_size = 256;

base::revision next(std::optional<base::revision> last) {
    return last ? base::revision{last->value + 1} : base::revision{0};
}

awaitable<void> write_snapshot(eventstore::event_store& store, std::string stream, std::string text,
                               base::revision revision,
                               std::shared_ptr<std::atomic<std::size_t>> running) {
    struct at_end {
        std::atomic<std::size_t>& count;
        ~at_end() { --count; }
    } const guard{*running};
    eventstore::stream_write write;
    write.stream = game::snapshot_stream_of(stream);
    write.expected = eventstore::expected_revision::any();
    // Named after what it holds: two processes that write the same one write it once.
    const auto id = base::uuid::make_derived(write.stream, std::to_string(revision.value) + ':' +
                                                               std::to_string(game::rules_version));
    write.events.push_back(
        {id, game::snapshot_type, std::move(text), "{}", eventlog::content::json});
    std::vector<eventstore::stream_write> writes;
    writes.push_back(std::move(write));
    // Only the last snapshot is of use; the first one says so.
    const std::string metadata_stream = eventlog::metadata_stream_of(writes.front().stream);
    const auto told = co_await store.stream_head(metadata_stream);
    if (told && !*told) {
        eventstore::stream_write metadata;
        metadata.stream = metadata_stream;
        metadata.expected = eventstore::expected_revision::no_stream();
        metadata.events.push_back({base::uuid::make_derived(metadata_stream, "first"),
                                   eventlog::metadata_type,
                                   R"({"$maxCount":1})",
                                   {},
                                   eventlog::content::json});
        writes.push_back(std::move(metadata));
    }
    const auto done = co_await store.append(std::move(writes));
    if (!done) {
        base::log_debug("commands", "a snapshot was not written", {{"stream", stream}});
    }
}

} // namespace

template <typename State>
awaitable<base::result<typename aggregates<State>::loaded>>
aggregates<State>::load(std::string stream) {
    if (pointer home = hot_.find(stream)) {
        co_return loaded{std::move(home), false};
    }
    auto page =
        co_await store_.read_stream(stream, {0}, eventstore::direction::forwards, page_size);
    if (!page) {
        co_return base::fail(std::move(page.error()));
    }
    pointer home;
    if (!page->end) {
        home =
            co_await from_snapshot(stream); // a long stream: the reads to save are worth one more
    }
    std::optional<eventstore::stream_page> first;
    if (!home) {
        home = std::make_shared<game::home<State>>();
        first = std::move(*page);
    }
    if (auto done = co_await read_tail(stream, home, std::move(first)); !done) {
        co_return base::fail(std::move(done.error()));
    }
    if (home->revision) {
        hot_.put(stream, home);
    }
    co_return loaded{std::move(home), true};
}

template <typename State>
awaitable<typename aggregates<State>::pointer>
aggregates<State>::from_snapshot(std::string stream) {
    constexpr base::revision end{std::numeric_limits<std::int64_t>::max()};
    auto page = co_await store_.read_stream(game::snapshot_stream_of(stream), end,
                                            eventstore::direction::backwards, 1);
    if (!page || page->events.empty() || page->events.front().type != game::snapshot_type) {
        co_return nullptr;
    }
    auto home = game::decode_snapshot<State>(page->events.front().data);
    if (!home) {
        base::log_info("commands", "a snapshot is passed over",
                       {{"stream", stream}, {"why", home.error().message}});
        co_return nullptr;
    }
    co_return std::make_shared<game::home<State>>(std::move(*home));
}

template <typename State>
awaitable<base::status> aggregates<State>::read_tail(std::string stream, pointer home,
                                                     std::optional<eventstore::stream_page> first) {
    for (;;) {
        if (!first) {
            auto page = co_await store_.read_stream(stream, next(home->revision),
                                                    eventstore::direction::forwards, page_size);
            if (!page) {
                co_return base::fail(std::move(page.error()));
            }
            first = std::move(*page);
        }
        for (const auto& event : first->events) {
            if (event.revision != next(home->revision)) {
                co_return base::fail(base::errc::corrupt, "A stream has a gap.");
            }
            if (auto done = game::fold(*home, event); !done) {
                base::log_error("commands", "an event cannot be folded",
                                {{"stream", stream},
                                 {"revision", event.revision.value},
                                 {"why", done.error().message}});
                co_return done;
            }
        }
        if (first->end || first->events.empty()) {
            co_return base::status{};
        }
        first.reset();
    }
}

template <typename State>
awaitable<base::result<bool>> aggregates<State>::catch_up(std::string stream, pointer home) {
    const auto before = home->revision;
    // Out of memory until it is whole again: a failure or a cancellation may leave it half folded.
    hot_.drop(stream);
    if (auto done = co_await read_tail(stream, home, std::nullopt); !done) {
        co_return base::fail(std::move(done.error()));
    }
    if (home->revision) {
        hot_.put(stream, home);
    }
    co_return home->revision != before;
}

template <typename State>
awaitable<base::result<bool>> aggregates<State>::moved(std::string stream, base::revision known) {
    auto head = co_await store_.stream_head(std::move(stream));
    if (!head) {
        co_return base::fail(std::move(head.error()));
    }
    co_return *head != known;
}

template <typename State>
void aggregates<State>::keep(const std::string& stream, const pointer& home,
                             std::optional<base::revision> before) {
    hot_.put(stream, home);
    if (bounds_.snapshot_every == 0 || next(before).value / bounds_.snapshot_every ==
                                           next(home->revision).value / bounds_.snapshot_every) {
        return;
    }
    if (snapshots_->fetch_add(1) >= bounds_.snapshots_max) {
        --*snapshots_;
        return;
    }
    background_.spawn(
        write_snapshot(store_, stream, game::encode_snapshot(*home), *home->revision, snapshots_),
        "snapshot");
}

template class aggregates<game::player::state>;
template class aggregates<game::cultivation::state>;

} // namespace immortal::commands
