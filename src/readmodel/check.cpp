#include "readmodel/check.hpp"

#include "cache/service.hpp"
#include "game/catalog.hpp"
#include "readmodel/check_rows.hpp"
#include "readmodel/check_run.hpp"
#include "readmodel/dead_letters.hpp"
#include "readmodel/fold.hpp"
#include "readmodel/leases.hpp"
#include "readmodel/parking.hpp"
#include "runtime/deadline.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

namespace immortal::readmodel {

namespace {

using base::json::object;
using eventlog::direction;

constexpr std::size_t scan_events = 4'096;
constexpr std::size_t load_page = 512;

const object* find(const std::unordered_map<base::uuid, object>& in, const base::uuid& id) {
    const auto at = in.find(id);
    return at == in.end() ? nullptr : &at->second;
}

// The session that a player's event begins, if it does.
std::optional<base::uuid> session_in(const recorded_event& event) {
    if (event.type != game::player::player_status_changed::type_name) {
        return std::nullopt;
    }
    const auto decoded = game::decode_event<game::player::event>(event.type, event.data);
    const auto* changed = decoded && *decoded
                              ? std::get_if<game::player::player_status_changed>(&**decoded)
                              : nullptr;
    return changed != nullptr ? changed->session_id : std::nullopt;
}

// The fold of one stream up to the position that the rows reflect; `sessions` (may be null): those
// that its events name.
template <typename Fold>
awaitable<base::result<Fold>> fold_stream(run_state& run, std::string stream, base::uuid owner,
                                          base::position until, std::set<base::uuid>* sessions) {
    Fold fold;
    base::revision from{0};
    for (;;) {
        auto page =
            co_await run.uses.store.read_stream(stream, from, direction::forwards, load_page);
        if (!page) {
            co_return base::fail(std::move(page.error()));
        }
        for (const recorded_event& event : page->events) {
            if (event.position > until) {
                co_return fold;
            }
            if (sessions != nullptr) {
                if (const auto session = session_in(event)) {
                    sessions->insert(*session);
                }
            }
            if (run.parked.skipped.contains({owner, event.position})) {
                fold.skip(event);
            } else if (const auto applied = fold.apply(event); !applied) {
                run.add({"log", stream, "", "", base::encode_text(applied.error().message)});
                co_return fold;
            }
        }
        if (page->end || page->events.empty()) {
            co_return fold;
        }
        from = base::revision{page->events.back().revision.value + 1};
    }
}

// Compares a cached entry with the value at its own position. Absent and newer entries pass.
awaitable<void> compare_cached(run_state& run, cache::key key, std::string where, base::uuid id,
                               object expected, base::position position) {
    if (run.uses.shared == nullptr) {
        co_return;
    }
    for (int attempt = 0;; ++attempt) {
        const auto entry = co_await run.uses.shared->values().get_or_load(
            key, std::nullopt,
            [](std::optional<base::position>) -> awaitable<base::result<cache::entry>> {
                co_return base::fail(base::errc::not_found, "not cached");
            });
        if (!entry || entry->position > position) {
            co_return;
        }
        const bool old = entry->position < position;
        if (old && attempt == 0) {
            (void)co_await runtime::wait_for(std::chrono::milliseconds{100}); // on its way
            continue;
        }
        ++run.report.cache_entries;
        const auto parsed = base::parse_json(entry->payload);
        const object* actual = parsed ? parsed->if_object() : nullptr;
        // As texts say it: there a whole number has no kind.
        const auto wanted = base::parse_json(base::json_text(expected));
        run.compare(where, id.text(), &wanted.value().get_object(), actual);
        co_return;
    }
}

awaitable<base::status> check_sessions(run_state& run, const row_snapshot& rows, base::uuid player,
                                       std::set<base::uuid> sessions, base::position until,
                                       statistics_change& gain) {
    for (const base::uuid& session : sessions) {
        const auto fold = co_await fold_stream<cultivation_fold>(
            run, game::cultivation::stream_of(session), player, until, nullptr);
        if (!fold && fold.error().code == base::errc::deleted) {
            run.add(tombstoned(game::cultivation::stream_of(session)));
            continue;
        }
        if (!fold) {
            co_return base::fail(fold.error());
        }
        ++run.report.sessions;
        std::optional<object> expected;
        if (fold->exists()) {
            expected = base::encode(fold->view(session)).get_object();
            co_await compare_cached(run, cache::keys::cultivation_record(session),
                                    "cache cultivation", session, *expected, fold->position());
        }
        run.compare("cultivation_records", session.text(), expected ? &*expected : nullptr,
                    find(rows.records, session));
        const auto due = fold->due();
        const auto expected_due =
            due ? std::optional(base::encode(*due).get_object()) : std::nullopt;
        run.compare("due_commands", session.text(), expected_due ? &*expected_due : nullptr,
                    find(rows.due, session));
        const statistics_change one = fold->contribution();
        gain.sessions += one.sessions;
        gain.seconds += one.seconds;
        gain.experience += one.experience;
        gain.breakthroughs += one.breakthroughs;
        gain.cultivation_position = std::max(gain.cultivation_position, one.cultivation_position);
        gain.position = std::max(gain.position, one.position);
    }
    co_return base::status{};
}

awaitable<void> check_cached_lists(run_state& run, const row_snapshot& rows, base::uuid id) {
    if (const auto at = rows.statistics.find(id); at != rows.statistics.end()) {
        co_await compare_cached(run, cache::keys::player_stats(id), "cache statistics", id,
                                base::encode(at->second).get_object(), at->second.position);
    }
    if (const object* known = find(rows.techniques, id)) {
        std::map<std::string, base::json::value> by_id; // the order of the list
        base::position newest;
        for (const auto& one : *known) {
            const auto at = base::decode<base::position>(one.value().at("position"));
            newest = std::max(newest, at.value_or(base::position{}));
            by_id.emplace(one.key(), one.value());
        }
        base::json::array items;
        for (auto& [technique, value] : by_id) {
            items.push_back(std::move(value));
        }
        co_await compare_cached(run, cache::keys::player_techniques(id), "cache techniques", id,
                                {{"playerId", id.text()},
                                 {"items", std::move(items)},
                                 {"position", static_cast<std::int64_t>(newest.value)}},
                                newest);
    }
}

awaitable<void> compare_player(run_state& run, const row_snapshot& rows, base::uuid id,
                               const player_fold& fold, const statistics_change& gain) {
    std::optional<object> expected;
    std::optional<object> techniques;
    if (fold.exists()) {
        const player_row row = fold.row(id);
        expected = base::encode(row.view).get_object();
        co_await compare_cached(run, cache::keys::player(id), "cache player", id, *expected,
                                row.view.position);
        (*expected)["levelPosition"] = static_cast<std::int64_t>(row.level_position.value);
        (*expected)["wealth"] = row.wealth;
        (*expected)["wealthPosition"] = static_cast<std::int64_t>(row.wealth_position.value);
        for (const technique_view& one : fold.techniques(run.uses.catalog)) {
            if (!techniques) {
                techniques.emplace();
            }
            (*techniques)[one.technique_id] = base::encode(one);
        }
    }
    run.compare("players", id.text(), expected ? &*expected : nullptr, find(rows.players, id));
    run.compare("player_techniques", id.text(), techniques ? &*techniques : nullptr,
                find(rows.techniques, id));
    const object totals = totals_object(gain);
    run.compare("statistics", id.text(), gain.position != base::position{} ? &totals : nullptr,
                find(rows.totals, id));
    if (run.uses.shared != nullptr) {
        co_await check_cached_lists(run, rows, id);
        co_await check_ranks(run, id, fold, gain);
    }
}

awaitable<base::status> check_player(run_state& run, const row_snapshot& rows, base::uuid id) {
    if (run.parked.owners.contains(id)) {
        ++run.report.parked;
        co_return base::status{};
    }
    // Nothing processed: the fold of nothing.
    const base::position until = rows.done[partition_of(id)].value_or(base::position{});
    std::set<base::uuid> sessions;
    const auto fold =
        co_await fold_stream<player_fold>(run, game::player::stream_of(id), id, until, &sessions);
    if (!fold && fold.error().code == base::errc::deleted) {
        run.add(tombstoned(game::player::stream_of(id)));
        co_return base::status{};
    }
    if (!fold) {
        co_return base::fail(fold.error());
    }
    ++run.report.players;
    if (const auto at = rows.sessions_of.find(id); at != rows.sessions_of.end()) {
        sessions.insert(at->second.begin(), at->second.end()); // rows that should not be, perhaps
    }
    statistics_change gain = fold->contribution();
    if (auto done = co_await check_sessions(run, rows, id, std::move(sessions), until, gain);
        !done) {
        co_return done;
    }
    co_await compare_player(run, rows, id, *fold, gain);
    co_return base::status{};
}

awaitable<base::status> check_page(run_state& run, std::vector<base::uuid> ids) {
    if (ids.empty()) {
        co_return base::status{};
    }
    const auto rows = co_await read_rows(run.uses.database, ids);
    if (!rows) {
        co_return base::fail(rows.error());
    }
    const auto as_of = std::ranges::min(rows->done).value_or(base::position{});
    run.report.as_of = run.report.players == 0 ? as_of : std::min(run.report.as_of, as_of);
    for (const base::uuid& id : ids) {
        if (auto done = co_await check_player(run, *rows, id); !done) {
            co_return done;
        }
    }
    co_return base::status{};
}

using reporter = std::function<void(const check_report&)>;

// Every player that the log knows: each stream's first event names one.
awaitable<base::status> check_log(run_state& run, std::uint64_t players, const reporter& report) {
    const auto head = run.uses.store.head();
    base::position from;
    std::vector<base::uuid> ids;
    for (bool end = !head; !end;) {
        auto page = co_await run.uses.store.read_all(from, direction::forwards, scan_events,
                                                     {{"player-"}, true});
        if (!page) {
            co_return base::fail(std::move(page.error()));
        }
        for (const recorded_event& event : page->events) {
            const auto target =
                event.revision.value == 0 ? target_of(event) : std::optional<event_target>{};
            if (target && run.sampled(target->entity, players)) {
                ids.push_back(target->entity);
            }
            if (ids.size() >= run.settings.page) {
                if (auto done = co_await check_page(run, std::exchange(ids, {})); !done) {
                    co_return done;
                }
                if (report) {
                    report(run.report);
                }
            }
        }
        from = page->next;
        end = page->end || from > *head;
    }
    co_return co_await check_page(run, std::move(ids));
}

// Rows of players that the log does not know.
awaitable<base::status> check_strangers(run_state& run) {
    base::uuid after;
    for (;;) {
        auto q = postgres::reading("SELECT id FROM (SELECT id FROM players "
                                   "UNION SELECT player_id FROM player_statistics_totals "
                                   "UNION SELECT player_id FROM player_techniques "
                                   "UNION SELECT player_id FROM cultivation_records "
                                   "UNION SELECT owner FROM due_commands) o "
                                   "WHERE id > $1::uuid ORDER BY id LIMIT 1000");
        q.values.add(after);
        const auto rows = co_await run.uses.database.run(std::move(q));
        if (!rows) {
            co_return base::fail(rows.error());
        }
        for (std::size_t i = 0; i < rows->size(); ++i) {
            after = rows->get<base::uuid>(i, 0);
            auto done =
                co_await check_stream_behind(run, "players", after, "rows without a stream");
            if (!done) {
                co_return done;
            }
        }
        if (rows->size() < 1000) {
            co_return base::status{};
        }
    }
}

awaitable<base::result<std::uint64_t>> prepare(run_state& run) {
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < partition_count; ++i) {
        all.push_back(static_cast<std::int64_t>(i));
    }
    auto parked = co_await load_parking(run.uses.database, std::move(all));
    if (!parked) {
        co_return base::fail(std::move(parked.error()));
    }
    run.parked = std::move(*parked);
    const auto count =
        co_await run.uses.database.run(postgres::reading("SELECT count(*) FROM players"));
    if (!count) {
        co_return base::fail(count.error());
    }
    co_return static_cast<std::uint64_t>(count->get<std::int64_t>(0, 0));
}

} // namespace

difference tombstoned(const std::string& stream) {
    return {"log", stream, "", "", "\"the stream is tombstoned: nothing of it can be compared\""};
}

awaitable<base::status> check_stream_behind(run_state& run, std::string where, base::uuid player,
                                            std::string absence) {
    const auto info = co_await run.uses.store.info(game::player::stream_of(player));
    if (!info) {
        co_return base::fail(info.error());
    }
    if (info->tombstoned) {
        run.add(
            {std::move(where), player.text(), "", "", "\"rows of a stream that is tombstoned\""});
    } else if (!info->last) {
        run.add({std::move(where), player.text(), "", "", base::encode_text(absence)});
    }
    co_return base::status{};
}

awaitable<base::result<check_report>> check(check_parts uses, check_settings settings,
                                            std::function<void(const check_report&)> report) {
    run_state run{uses, settings, {}, {}};
    const auto fits = co_await check_checkpoints(uses.database, uses.store);
    if (!fits && fits.error().code == base::errc::mismatch) {
        run.add({"checkpoint", "", "", "", base::encode_text(fits.error().message)});
        co_return std::move(run.report);
    }
    if (!fits) {
        co_return base::fail(fits.error());
    }
    const auto players = co_await prepare(run);
    if (!players) {
        co_return base::fail(players.error());
    }
    if (auto done = co_await check_log(run, *players, report); !done) {
        co_return base::fail(std::move(done.error()));
    }
    if (!settings.sample) {
        if (auto done = co_await check_strangers(run); !done) {
            co_return base::fail(std::move(done.error()));
        }
        if (auto done = co_await check_ranked_strangers(run); !done) {
            co_return base::fail(std::move(done.error()));
        }
    }
    co_return std::move(run.report);
}

} // namespace immortal::readmodel
