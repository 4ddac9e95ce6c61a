#include "readmodel/session.hpp"

#include "base/log.hpp"
#include "readmodel/dead_letters.hpp"
#include "runtime/deadline.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <utility>

namespace immortal::readmodel {

namespace {

constexpr std::size_t page_events = 1'024; // asked of the store at a time
constexpr milliseconds housekeeping{1'000};

// Shared by reader and committer, both on the session's strand: no lock is needed between awaits.
struct session {
    session(projector_context& c, session_start start, parking parked)
        : context(c), leases(std::move(start.leases)), careful_until(start.careful_until),
          builder(c.uses.store, c.uses.catalog, leases, std::move(parked), c.settings.folds_max),
          changed(c.changed) {}

    projector_context& context;
    std::vector<lease> leases;
    std::optional<base::position> careful_until;
    batch_builder builder;
    std::unique_ptr<eventstore::subscription> events;
    std::optional<prepared_batch> ready; // rendered while the one before is being written
    bool adding = false;                 // the builder is between two appends
    bool ended = false;                  // the committer wants the reader to end
    bool reader_done = false;
    runtime::async_event& changed;

    [[nodiscard]] bool has_work() const {
        return ready || (builder.pending() > 0 && builder.reached() && !adding);
    }
    [[nodiscard]] bool full() const {
        return careful_until ? builder.pending() > 0
                             : builder.pending() >= context.settings.batch_events_max;
    }
    void end() {
        ended = true;
        if (events) {
            events->cancel();
        }
        changed.notify_all();
    }
};

std::optional<base::position> first_position(const std::vector<lease>& leases) {
    return std::ranges::min(leases, {}, &lease::position).position;
}

awaitable<base::status> feed(session& s, std::vector<recorded_event> events) {
    s.adding = true;
    auto added = co_await s.builder.add(std::move(events));
    s.adding = false;
    if (s.full() && !s.ready && !s.careful_until) {
        s.ready = s.builder.take();
    }
    s.changed.notify_all();
    for (;;) {
        const auto seen = s.changed.version();
        if (!added || s.ended || !s.full()) {
            co_return added;
        }
        (void)co_await s.changed.wait(seen, housekeeping);
    }
}

// Where a careful session cuts: after each append.
std::vector<std::vector<recorded_event>> portions(std::vector<recorded_event> events,
                                                  bool careful) {
    std::vector<std::vector<recorded_event>> out;
    if (!careful) {
        out.push_back(std::move(events));
        return out;
    }
    bool open = false;
    for (recorded_event& event : events) {
        if (!open) {
            out.emplace_back();
        }
        open = !event.last_in_batch;
        out.back().push_back(std::move(event));
    }
    return out;
}

awaitable<void> read_events(session& s) {
    while (!s.ended) {
        auto page = co_await s.events->next(page_events);
        if (!page || !s.context.step("read")) {
            if (page || page.error().code != base::errc::cancelled) {
                s.context.set_trouble("The read model cannot read the event log.");
            }
            break;
        }
        bool failed = false;
        for (auto& portion : portions(std::move(page->events), s.careful_until.has_value())) {
            const auto added = co_await feed(s, std::move(portion));
            failed = failed || !added || s.ended;
            if (failed) {
                break;
            }
        }
        if (failed) {
            break;
        }
    }
}

awaitable<void> read_to_end(std::shared_ptr<session> s) {
    try {
        co_await read_events(*s);
    } catch (const std::exception& e) {
        base::log_error("readmodel", "reading the event log failed", {{"error", e.what()}});
    }
    s->adding = false;
    s->reader_done = true;
    s->changed.notify_all();
}

void note_commit(session& s, const prepared_batch& batch) {
    std::array<std::optional<base::position>, partition_count> applied;
    for (lease& one : s.leases) {
        one.position = std::max(one.position, std::optional(batch.to));
        applied.at(one.partition) = one.position;
    }
    projector_context& c = s.context;
    c.reached = batch.to.value; // first: who waits for the position may look at the lag
    c.uses.applied.advance_all(applied);
    c.events.add(static_cast<double>(batch.events));
    c.batches.add();
    c.batch_events.observe(static_cast<double>(batch.events));
    const std::chrono::duration<double> late = c.uses.clock.now() - batch.newest_created;
    c.delay.observe(std::max(0.0, late.count()));
}

// Which owners' rows does PostgreSQL refuse? Tried one by one in transactions that are not
// committed.
awaitable<session_end> find_refused(session& s, const prepared_batch& batch, std::string error) {
    session_end out{session_end::reason::rows_refused, batch.to, {}};
    if (!s.careful_until) {
        co_return out; // first narrow it down to one append
    }
    std::unordered_map<base::uuid, prepared_batch> parts;
    for (const auto& row : batch.players) {
        parts[row.view.id].players.push_back(row);
    }
    for (const auto& row : batch.techniques) {
        parts[row.player_id].techniques.push_back(row);
    }
    for (const auto& row : batch.records) {
        parts[row.player_id].records.push_back(row);
    }
    for (const auto& row : batch.statistics) {
        parts[row.player_id].statistics.push_back(row);
    }
    for (const auto& row : batch.due) {
        parts[row.owner].due.push_back(row);
    }
    for (const auto& [owner, part] : parts) {
        auto trial = co_await s.context.uses.database.begin();
        if (!trial) {
            co_return session_end{};
        }
        const auto done = co_await (*trial)->run_all(row_statements_of(part));
        if (!done) {
            out.refused.emplace(owner, done.error().message);
        }
    }
    if (out.refused.empty()) { // only together: all of them wait
        for (const auto& [owner, part] : parts) {
            out.refused.emplace(owner, error);
        }
    }
    out.until = std::max(batch.to, *s.careful_until);
    co_return out;
}

awaitable<std::optional<session_end>> write_next(session& s) {
    const prepared_batch batch =
        s.ready ? std::exchange(s.ready, std::nullopt).value() : s.builder.take();
    s.changed.notify_all(); // there is room again
    const std::vector<lease> before = s.leases;
    commit_result done = co_await commit_batch(s.context, batch, before);
    switch (done.outcome) {
    case commit_outcome::committed:
        break;
    case commit_outcome::fence_lost:
        base::log_warning("readmodel", "a lease was lost; starting again from the checkpoints");
        co_return session_end{session_end::reason::lease_lost};
    case commit_outcome::refused:
        base::log_error("readmodel", "PostgreSQL refuses rows", {{"error", done.error}});
        co_return co_await find_refused(s, batch, std::move(done.error));
    case commit_outcome::stopped:
        co_return session_end{session_end::reason::stopped};
    }
    note_commit(s, batch);
    for (const parked_owner& one : batch.parked) {
        base::log_error("readmodel", "an owner is parked: its event cannot be projected",
                        {{"owner", one.owner.text()},
                         {"type", one.event_type},
                         {"position", one.position.value},
                         {"error", one.error}});
    }
    if (s.context.fresh != nullptr && s.context.step("freshen")) {
        co_await s.context.fresh->push(batch, before, std::move(done.totals));
    }
    if (s.careful_until && batch.to >= *s.careful_until) {
        co_return session_end{}; // past the trouble: at full speed again
    }
    co_return std::nullopt;
}

// Keeps the leases alive and looks for requests.
awaitable<std::optional<session_end>> keep_house(session& s) {
    const auto requests =
        co_await load_replay_requests(s.context.uses.database, partitions_of(s.leases));
    if (requests && !requests->empty()) {
        co_return session_end{};
    }
    const auto kept =
        co_await renew_leases(s.context.uses.database, s.leases, s.context.settings.lease_time);
    if (!kept && kept.error().code == base::errc::conflict) {
        co_return session_end{session_end::reason::lease_lost};
    }
    if (!kept) {
        s.context.set_trouble("The read model waits for PostgreSQL: " + kept.error().message);
    } else {
        s.context.set_trouble({});
    }
    co_return std::nullopt;
}

awaitable<session_end> write_batches(session& s) {
    auto next_look = s.context.uses.clock.steady_now() + housekeeping;
    for (;;) {
        const auto seen = s.changed.version();
        if (s.context.stopping) {
            co_return session_end{session_end::reason::stopped};
        }
        std::optional<session_end> over;
        if (s.has_work()) {
            over = co_await write_next(s);
        } else if (s.reader_done) {
            co_return session_end{};
        } else {
            (void)co_await s.changed.wait(seen, housekeeping);
        }
        if (!over && s.context.uses.clock.steady_now() >= next_look) {
            over = co_await keep_house(s);
            next_look = s.context.uses.clock.steady_now() + housekeeping;
        }
        if (over) {
            co_return std::move(*over);
        }
    }
}

// Owners that somebody asked to replay, before anything else.
awaitable<base::status> answer_requests(projector_context& context,
                                        const std::vector<lease>& leases) {
    const auto owners = co_await load_replay_requests(context.uses.database, partitions_of(leases));
    if (!owners) {
        co_return base::fail(owners.error());
    }
    for (const base::uuid& owner : *owners) {
        if (auto done = co_await replay_owner(context, leases, owner); !done) {
            co_return done;
        }
    }
    co_return base::status{};
}

// The checkpoints say where the rows are, also when they went back (a restored PostgreSQL).
void show_position(projector_context& context, const std::vector<lease>& leases) {
    std::array<std::optional<base::position>, partition_count> applied;
    bool went_back = false;
    for (const lease& one : leases) {
        applied.at(one.partition) = one.position;
        went_back = went_back || one.position < context.uses.applied.applied(one.partition);
    }
    if (went_back) {
        context.uses.applied.reset();
    }
    context.uses.applied.advance_all(applied);
    context.reached = first_position(leases).value_or(base::position{}).value;
}

} // namespace

awaitable<session_end> run_session(projector_context& context, session_start start) {
    if (auto done = co_await answer_requests(context, start.leases); !done) {
        context.set_trouble("The read model waits: " + done.error().message);
        co_return session_end{done.error().code == base::errc::conflict
                                  ? session_end::reason::lease_lost
                                  : session_end::reason::again};
    }
    auto parked = co_await load_parking(context.uses.database, partitions_of(start.leases));
    if (!parked) {
        context.set_trouble("The read model waits: " + parked.error().message);
        co_return session_end{};
    }
    parked->refused = std::move(start.refused);
    const auto s = std::make_shared<session>(context, std::move(start), std::move(*parked));
    show_position(context, s->leases);
    s->events = context.uses.store.subscribe_all(first_position(s->leases));
    boost::asio::co_spawn(co_await boost::asio::this_coro::executor, read_to_end(s),
                          boost::asio::detached);
    session_end end;
    try {
        end = co_await write_batches(*s);
    } catch (const std::exception& e) {
        base::log_error("readmodel", "writing the read model failed", {{"error", e.what()}});
    }
    s->end();
    while (!s->reader_done) {
        const auto seen = s->changed.version();
        if (!s->reader_done) {
            (void)co_await s->changed.wait(seen, housekeeping);
        }
    }
    if (s->context.stopping) {
        co_await release_leases(context.uses.database, s->leases);
        end.why = session_end::reason::stopped;
    }
    co_return end;
}

} // namespace immortal::readmodel
