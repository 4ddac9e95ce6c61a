#include "eventstore/publication_board.hpp"

#include "base/assert.hpp"
#include "eventlog/stream_metadata.hpp"
#include "eventlog/system_view.hpp"
#include "eventstore/publication_state.hpp"

#include <algorithm>
#include <utility>

namespace immortal::eventstore {
namespace {

using eventlog::index_view;

// So many touches are looked up before others may have the tables.
constexpr std::size_t touches_at_once = 512;
// So many stretches with something wanted are known of a filter; of older ones, nothing.
constexpr std::size_t stretches_max = 64;

constexpr std::size_t table_of(index_view view) {
    return static_cast<std::size_t>(view);
}

} // namespace

board_meters::board_meters(base::metrics& to)
    : wakes(to.make_counter("immortal_eventstore_wakeups_total",
                            "Subscriptions woken because of a publication")),
      evaluations(to.make_counter("immortal_eventstore_filter_evaluations_total",
                                  "Events of publications held against a filter, once for all "
                                  "subscriptions that share it")),
      watches(to.make_gauge("immortal_eventstore_watches",
                            "Subscriptions that publications may wake")) {}

void publication_board::state::collect(const party_pointer& one, parties& woken) const {
    if (one->round != round) {
        one->round = round;
        woken.push_back(one);
    }
}

void publication_board::state::collect(std::size_t table, std::string_view name, parties& woken) {
    const name_table& names = tables[table];
    if (names.empty()) {
        return;
    }
    if (const auto found = names.find(name); found != names.end()) {
        for (const party_pointer& one : found->second) {
            collect(one, woken);
        }
    }
}

void publication_board::state::collect(const publication_summary::touch& touch, parties& woken) {
    collect(streams_table, touch.stream, woken);
    if (eventlog::is_metadata_stream(touch.stream)) {
        collect(streams_table, eventlog::described_stream(touch.stream), woken);
    }
    if (touch.tombstone) {
        collect(streams_table, eventlog::metadata_stream_of(touch.stream), woken);
    }
    const std::string_view category = eventlog::category_of(touch.stream);
    collect(table_of(index_view::type), touch.type, woken);
    collect(table_of(index_view::category), category, woken);
    collect(table_of(index_view::correlation), touch.correlation, woken);
    if (touch.first_event) {
        collect(table_of(index_view::streams), {}, woken);
        collect(table_of(index_view::category_streams), category, woken);
    }
}

void publication_board::state::collect_all(parties& woken) {
    for (const name_table& names : tables) {
        for (const auto& [name, list] : names) {
            for (const party_pointer& one : list) {
                collect(one, woken);
            }
        }
    }
}

// Those who wait for a name that was touched.
void publication_board::state::collect_named(parties& woken) {
    if (!working.complete()) {
        const std::lock_guard lock(tables_mutex);
        collect_all(woken);
        return;
    }
    for (std::size_t next = 0; next < working.size();) {
        const std::lock_guard lock(tables_mutex);
        const std::size_t end = std::min(next + touches_at_once, working.size());
        for (; next < end; ++next) {
            collect(working[next], woken);
        }
    }
}

// With both mutexes.
void publication_board::state::count_watch(publication_watch::party& one, int by) {
    one.registered = by > 0;
    watches = by > 0 ? watches + 1 : watches - 1;
    if (one.table == table_of(index_view::correlation)) {
        correlation_watches = by > 0 ? correlation_watches + 1 : correlation_watches - 1;
    }
    if (meters) {
        meters->watches.add(by);
    }
}

// Whether `filter` wants something that was published. The newest first: most filters want it.
bool publication_board::state::any_wanted(const event_filter& filter,
                                          std::uint64_t& evaluations) const {
    if (!working.complete()) {
        return true;
    }
    for (std::size_t place = working.size(); place > 0; --place) {
        const auto touch = working[place - 1];
        ++evaluations;
        if (filter.wants(touch.stream, touch.type)) {
            return true;
        }
    }
    return false;
}

void publication_board::state::note(filter_group& group, bool wanted, parties& woken) {
    if (wanted) {
        for (const party_pointer& one : group.members) {
            collect(one, woken);
        }
    }
    if (working.end() <= group.end) { // handed over before the group was there, or noted already
        return;
    }
    const std::uint64_t before = published.load();
    if (wanted) {
        const bool goes_on = !group.stretches.empty() && group.stretches.back().end == group.end;
        if (goes_on) {
            group.stretches.back().end = working.end();
        } else {
            group.stretches.push_back({group.end, working.end(), group.last_event, before});
        }
        if (group.stretches.size() > stretches_max) {
            group.begin = group.stretches.front().end;
            group.stretches.pop_front();
        }
    }
    group.end = working.end();
    group.last_event = working.last_event();
    group.events = before + working.events();
}

// Each filter is evaluated outside the lock: expressions take their time.
void publication_board::state::collect_filtered(parties& woken) {
    std::vector<std::shared_ptr<filter_group>> all;
    {
        const std::lock_guard lock(tables_mutex);
        for (const auto& [key, group] : groups) {
            all.push_back(group);
        }
    }
    std::uint64_t evaluations = 0;
    for (const auto& group : all) {
        const bool wanted = any_wanted(group->filter, evaluations);
        const std::lock_guard lock(tables_mutex);
        note(*group, wanted, woken);
    }
    if (meters) {
        meters->evaluations.add(static_cast<double>(evaluations));
    }
}

void publication_board::state::drop_report(publication_watch::party& one) {
    if (one.report) {
        reports.erase(*one.report);
        one.report.reset();
    }
}

void publication_board::state::wake(const parties& woken) {
    for (const party_pointer& one : woken) {
        one->event.notify_all();
    }
    if (meters) {
        meters->wakes.add(static_cast<double>(woken.size()));
    }
}

publication_board::publication_board(base::metrics* metrics)
    : state_(std::make_unique<state>(metrics)) {}
publication_board::~publication_board() = default;

void publication_board::begin(base::position end) {
    const std::lock_guard lock(state_->inbox_mutex);
    IMMORTAL_ASSERT(state_->watches == 0);
    state_->handed_over = std::max(state_->handed_over, end);
}

bool publication_board::hand_over(base::position end,
                                  std::span<const eventlog::index_entry> entries) {
    state& s = *state_;
    const std::lock_guard lock(s.inbox_mutex);
    IMMORTAL_ASSERT(end >= s.handed_over);
    // What begin() was told of already stood in the log before anybody looked.
    const bool known = end == s.handed_over;
    s.handed_over = end;
    if (known || s.watches == 0 || entries.empty()) {
        return false;
    }
    s.inbox.add(end, entries,
                s.correlation_watches > 0 ? correlations::kept : correlations::ignored);
    return true;
}

void publication_board::work() {
    state& s = *state_;
    {
        const std::lock_guard lock(s.inbox_mutex);
        if (s.working.empty()) {
            std::swap(s.inbox, s.working);
        } else { // the last time was not finished: everybody is woken for it
            s.working.absorb(s.inbox);
            s.inbox.clear();
        }
    }
    if (s.working.empty()) {
        return;
    }
    ++s.round;
    parties woken;
    s.collect_named(woken);
    s.collect_filtered(woken);
    {
        const std::lock_guard lock(s.tables_mutex);
        const std::uint64_t published = s.published.load() + s.working.events();
        s.published.store(published);
        while (!s.reports.empty() && s.reports.begin()->first <= published) {
            const party_pointer due = s.reports.begin()->second;
            s.collect(due, woken);
            s.drop_report(*due);
        }
    }
    s.wake(woken);
    s.working.clear();
}

bool publication_board::wants_report() const {
    const std::lock_guard lock(state_->tables_mutex);
    return !state_->reports.empty() && state_->published.load() > state_->reported;
}

void publication_board::report() {
    state& s = *state_;
    parties woken;
    {
        const std::lock_guard lock(s.tables_mutex);
        s.reported = s.published.load();
        for (auto next = s.reports.begin(); next != s.reports.end();) {
            const party_pointer one = (next++)->second;
            if (one->report_seen < s.reported) {
                woken.push_back(one);
                s.drop_report(*one);
            }
        }
    }
    s.wake(woken);
}

std::unique_ptr<publication_watch> publication_board::watch_stream(std::string_view stream) {
    const auto own = std::make_shared<publication_watch::party>();
    auto made = std::make_unique<publication_watch>(shared_from_this(), own);
    const auto view = eventlog::view_of(stream);
    own->table = view ? table_of(view->view) : streams_table;
    own->name = view ? view->name : stream;
    const std::lock_guard lock(state_->tables_mutex);
    state_->tables[own->table][own->name].push_back(own);
    const std::lock_guard inbox(state_->inbox_mutex);
    state_->count_watch(*own, 1);
    return made;
}

std::unique_ptr<publication_watch> publication_board::watch_all(const event_filter& filter) {
    const auto own = std::make_shared<publication_watch::party>();
    auto made = std::make_unique<publication_watch>(shared_from_this(), own);
    const std::lock_guard lock(state_->tables_mutex);
    const auto known = state_->groups.find(filter.key());
    const bool is_new = known == state_->groups.end();
    const auto group = is_new ? std::make_shared<filter_group>(filter) : known->second;
    group->members.push_back(own);
    if (is_new) {
        state_->groups.emplace(filter.key(), group);
    }
    own->group = group;
    // What is handed over from here on is kept, for there is a watch, and worked on with the group
    // in place; what was handed over before, the reader finds in the log.
    const std::lock_guard inbox(state_->inbox_mutex);
    state_->count_watch(*own, 1);
    if (is_new) {
        group->begin = group->end = state_->handed_over;
    }
    return made;
}

} // namespace immortal::eventstore
