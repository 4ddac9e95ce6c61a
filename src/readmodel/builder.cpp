#include "readmodel/builder.hpp"

#include "base/assert.hpp"
#include "game/catalog.hpp"

#include <algorithm>

namespace immortal::readmodel {

namespace {

constexpr std::size_t load_page = 512;

void add_difference(statistics_change& to, const statistics_change& now,
                    const statistics_change& before) {
    const statistics_change was = to;
    to.sessions += now.sessions - before.sessions;
    to.seconds += now.seconds - before.seconds;
    to.experience += now.experience - before.experience;
    to.breakthroughs += now.breakthroughs - before.breakthroughs;
    to.techniques += now.techniques - before.techniques;
    to.masters += now.masters - before.masters;
    to.cultivation_position = std::max(was.cultivation_position, now.cultivation_position);
    to.position = std::max(was.position, now.position);
}

bool differs(const statistics_change& a, const statistics_change& b) {
    return a.sessions != b.sessions || a.seconds != b.seconds || a.experience != b.experience ||
           a.breakthroughs != b.breakthroughs || a.techniques != b.techniques ||
           a.masters != b.masters;
}

} // namespace

batch_builder::batch_builder(eventstore::event_store& store, const game::catalog& catalog,
                             std::vector<lease> leases, parking parked, std::size_t folds_max)
    : store_(store), catalog_(catalog), parked_(std::move(parked)), folds_max_(folds_max) {
    for (const lease& one : leases) {
        leased_.at(one.partition) = true;
        done_.at(one.partition) = one.position;
    }
}

bool batch_builder::wanted(const event_target& target, base::position at) const {
    const std::size_t partition = partition_of(target.owner);
    return leased_[partition] && (!done_[partition] || at > *done_[partition]) &&
           !parked_.owners.contains(target.owner) &&
           (!parked_.only || *parked_.only == target.owner);
}

awaitable<base::status> batch_builder::add(std::vector<recorded_event> events) {
    if (rest_.empty()) {
        rest_ = std::move(events);
    } else {
        std::ranges::move(events, std::back_inserter(rest_));
    }
    std::size_t begin = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
        if (!rest_[i].last_in_batch) {
            continue;
        }
        if (auto done = co_await add_append(std::span(rest_).subspan(begin, i + 1 - begin));
            !done) {
            co_return done;
        }
        reached_ = rest_[i].position;
        newest_created_ = rest_[i].created;
        begin = i + 1;
    }
    pending_ += begin;
    rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(begin));
    co_return base::status{};
}

awaitable<base::status> batch_builder::add_append(std::span<const recorded_event> events) {
    std::vector<touched> changed;
    for (const recorded_event& event : events) {
        if (auto done = co_await add_event(event, changed); !done) {
            co_return done;
        }
    }
    co_return base::status{};
}

awaitable<base::status> batch_builder::add_event(const recorded_event& event,
                                                 std::vector<touched>& changed) {
    auto target = target_of(event);
    if (!target) {
        co_return base::status{};
    }
    if (target->what == kind::cultivation && target->owner == target->entity) {
        // Unreadable: whose session it is, its earlier events say.
        auto known = co_await find(sessions_, event, *target);
        if (!known) {
            co_return base::fail(known.error());
        }
        if ((*known)->fold.exists()) {
            target->owner = (*known)->fold.contribution().player_id;
        }
    }
    if (!wanted(*target, event.position)) {
        co_return base::status{};
    }
    if (const auto why = parked_.refused.find(target->owner); why != parked_.refused.end()) {
        co_return co_await park(event, target->owner, why->second, changed);
    }
    if (target->what == kind::player) {
        co_return co_await apply(players_, event, *target, changed);
    }
    co_return co_await apply(sessions_, event, *target, changed);
}

template <typename Fold>
awaitable<base::status> batch_builder::apply(fold_table<Fold>& table, const recorded_event& event,
                                             event_target target, std::vector<touched>& changed) {
    auto found = co_await find(table, event, target);
    if (!found) {
        co_return base::fail(found.error());
    }
    auto& entry = **found;
    if (parked_.skipped.contains({target.owner, event.position})) {
        entry.fold.skip(event);
        co_return base::status{};
    }
    const bool first = std::ranges::none_of(changed, [&](const touched& one) {
        return one.target.what == target.what && one.target.entity == target.entity;
    });
    const auto before = entry.fold.revision();
    if (auto applied = entry.fold.apply(event); !applied) {
        co_return co_await park(event, target.owner, applied.error().message, changed);
    }
    if (first) {
        changed.push_back({target, event.stream, before});
    }
    table.mark(entry);
    co_return base::status{};
}

template <typename Fold>
awaitable<base::result<typename fold_table<Fold>::entry*>>
batch_builder::find(fold_table<Fold>& table, const recorded_event& event, event_target target) {
    std::optional<base::revision> last;
    if (event.revision.value > 0) {
        last = base::revision{event.revision.value - 1};
    }
    if (auto* present = table.find(target.entity)) {
        co_return present;
    }
    auto loaded = co_await load<Fold>(event.stream, target.owner, last);
    if (!loaded) {
        co_return base::fail(std::move(loaded.error()));
    }
    co_return &table.insert(target.entity, target.owner, std::move(*loaded));
}

// The stream's fold up to `last`; an event that cannot be read ends it there (the next one then
// does not fit and parks the owner).
template <typename Fold>
awaitable<base::result<Fold>> batch_builder::load(std::string stream, base::uuid owner,
                                                  std::optional<base::revision> last) {
    Fold fold;
    base::revision from{0};
    while (last && from <= *last) {
        const std::size_t wanted = std::min<std::size_t>(load_page, last->value - from.value + 1);
        auto page =
            co_await store_.read_stream(stream, from, eventlog::direction::forwards, wanted);
        if (!page) {
            co_return base::fail(std::move(page.error()));
        }
        for (const recorded_event& event : page->events) {
            if (event.revision > *last) {
                break;
            }
            if (parked_.skipped.contains({owner, event.position})) {
                fold.skip(event);
            } else if (auto applied = fold.apply(event); !applied) {
                co_return fold;
            }
        }
        if (page->events.empty() || page->end) {
            break;
        }
        from = base::revision{page->events.back().revision.value + 1};
    }
    co_return fold;
}

// The owner waits from this append on: what the append did to it so far is taken back.
awaitable<base::status> batch_builder::park(const recorded_event& event, base::uuid owner,
                                            std::string error,
                                            const std::vector<touched>& changed) {
    for (const touched& one : changed) {
        if (one.target.owner != owner) {
            continue;
        }
        const auto restored = one.target.what == kind::player ? co_await restore(players_, one)
                                                              : co_await restore(sessions_, one);
        if (!restored) {
            co_return restored;
        }
    }
    parked_.owners.insert(owner);
    newly_parked_.push_back(
        {owner, event.position, event.id, event.type, event.stream, std::move(error)});
    co_return base::status{};
}

template <typename Fold>
awaitable<base::status> batch_builder::restore(fold_table<Fold>& table, touched what) {
    auto loaded = co_await load<Fold>(what.stream, what.target.owner, what.before);
    if (!loaded) {
        co_return base::fail(std::move(loaded.error()));
    }
    if (auto* entry = table.find(what.target.entity)) {
        entry->fold = std::move(*loaded);
    }
    co_return base::status{};
}

void batch_builder::take_players(prepared_batch& out, gains& gain) {
    for (auto* entry : players_.take_changed()) {
        if (!entry->fold.exists()) {
            continue;
        }
        out.players.push_back(entry->fold.row(entry->id));
        for (technique_view& one : entry->fold.techniques(catalog_, entry->written_at)) {
            out.techniques.push_back({entry->id, std::move(one)});
        }
        const statistics_change now = entry->fold.contribution();
        if (differs(now, entry->written)) {
            add_difference(gain[entry->id], now, entry->written);
            entry->written = now;
        }
        entry->written_at = entry->fold.position();
    }
}

void batch_builder::take_records(prepared_batch& out, gains& gain) {
    for (auto* entry : sessions_.take_changed()) {
        if (!entry->fold.exists()) {
            continue;
        }
        out.records.push_back(entry->fold.view(entry->id));
        const statistics_change now = entry->fold.contribution();
        if (differs(now, entry->written)) {
            add_difference(gain[now.player_id], now, entry->written);
            entry->written = now;
        }
        if (entry->fold.due_since() > entry->written_at) {
            if (auto due = entry->fold.due()) {
                out.due.push_back(std::move(*due));
            } else if (entry->written_at != base::position{}) {
                out.settled.push_back(game::cultivation::stream_of(entry->id));
            }
        }
        entry->written_at = entry->fold.position();
    }
}

prepared_batch batch_builder::take() {
    IMMORTAL_ASSERT(reached_);
    prepared_batch out;
    out.to = *reached_;
    out.events = std::exchange(pending_, 0);
    out.newest_created = newest_created_;
    gains gain;
    take_players(out, gain);
    take_records(out, gain);
    players_.trim(folds_max_);
    sessions_.trim(folds_max_);
    for (auto& [player, change] : gain) {
        change.player_id = player;
        out.statistics.push_back(change);
    }
    out.parked = std::exchange(newly_parked_, {});
    // One order in every transaction: two processes never wait for each other in a circle.
    std::ranges::sort(out.players, {}, [](const auto& r) { return r.view.id; });
    std::ranges::sort(out.records, {}, &cultivation_view::session_id);
    std::ranges::sort(out.statistics, {}, &statistics_change::player_id);
    std::ranges::sort(out.due, {}, &due_command::thing);
    std::ranges::sort(out.settled);
    return out;
}

} // namespace immortal::readmodel
