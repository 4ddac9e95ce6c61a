#include "readmodel/batch.hpp"

#include "readmodel/sql_rows.hpp"

#include <chrono>
#include <set>
#include <utility>

namespace immortal::readmodel {

namespace {

using postgres::query;

// One column after the other: `column(rows, q, [](const row& r) -> const auto& { ... })`.
template <typename Row, typename Get>
void column(const std::vector<Row>& rows, query& q, Get get) {
    using value_type = std::remove_cvref_t<decltype(get(rows.front()))>;
    std::vector<value_type> values;
    values.reserve(rows.size());
    for (const Row& row : rows) {
        values.push_back(get(row));
    }
    q.values.add_array(values);
}

query upsert_players(const std::vector<player_row>& rows) {
    query q{
        "INSERT INTO players (id, user_id, name, level, realm, experience, energy, max_energy, "
        "status, strength, agility, intelligence, constitution, gold, spirit_stones, "
        "current_location, coordinates, cultivation_session, created_at, updated_at, "
        "last_active_at, revision, position, level_position, wealth, wealth_position) "
        "SELECT id, user_id, name, level, realm, experience, energy, max_energy, status, strength, "
        "agility, intelligence, constitution, gold, spirit_stones, location, "
        "CASE WHEN x IS NOT NULL THEN point(x, y) END, session, created_at, updated_at, "
        "last_active_at, revision, position, level_position, wealth, wealth_position "
        "FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::text[], $6::bigint[], "
        "$7::integer[], $8::integer[], $9::text[], $10::integer[], $11::integer[], "
        "$12::integer[], $13::integer[], $14::bigint[], $15::bigint[], $16::text[], "
        "$17::double precision[], $18::double precision[], $19::uuid[], $20::timestamptz[], "
        "$21::timestamptz[], $22::timestamptz[], $23::bigint[], $24::bigint[], $25::bigint[], "
        "$26::bigint[], $27::bigint[]) AS n (id, user_id, name, level, realm, experience, energy, "
        "max_energy, status, strength, agility, intelligence, constitution, gold, spirit_stones, "
        "location, x, y, session, created_at, updated_at, last_active_at, revision, position, "
        "level_position, wealth, wealth_position) "
        "ON CONFLICT (id) DO UPDATE SET user_id = EXCLUDED.user_id, name = EXCLUDED.name, "
        "level = EXCLUDED.level, realm = EXCLUDED.realm, experience = EXCLUDED.experience, "
        "energy = EXCLUDED.energy, max_energy = EXCLUDED.max_energy, status = EXCLUDED.status, "
        "strength = EXCLUDED.strength, agility = EXCLUDED.agility, "
        "intelligence = EXCLUDED.intelligence, constitution = EXCLUDED.constitution, "
        "gold = EXCLUDED.gold, spirit_stones = EXCLUDED.spirit_stones, "
        "current_location = EXCLUDED.current_location, coordinates = EXCLUDED.coordinates, "
        "cultivation_session = EXCLUDED.cultivation_session, created_at = EXCLUDED.created_at, "
        "updated_at = EXCLUDED.updated_at, last_active_at = EXCLUDED.last_active_at, "
        "revision = EXCLUDED.revision, position = EXCLUDED.position, "
        "level_position = EXCLUDED.level_position, wealth = EXCLUDED.wealth, "
        "wealth_position = EXCLUDED.wealth_position"};
    const auto of_view = [&](auto member) {
        column(rows, q, [member](const player_row& r) { return r.view.*member; });
    };
    of_view(&player_view::id);
    of_view(&player_view::user_id);
    of_view(&player_view::name);
    of_view(&player_view::level);
    of_view(&player_view::realm);
    of_view(&player_view::experience);
    of_view(&player_view::energy);
    of_view(&player_view::max_energy);
    of_view(&player_view::status);
    of_view(&player_view::strength);
    of_view(&player_view::agility);
    of_view(&player_view::intelligence);
    of_view(&player_view::constitution);
    of_view(&player_view::gold);
    of_view(&player_view::spirit_stones);
    of_view(&player_view::current_location);
    column(rows, q, [](const player_row& r) {
        return r.view.coordinates ? std::optional(r.view.coordinates->x) : std::nullopt;
    });
    column(rows, q, [](const player_row& r) {
        return r.view.coordinates ? std::optional(r.view.coordinates->y) : std::nullopt;
    });
    of_view(&player_view::cultivation_session);
    of_view(&player_view::created_at);
    of_view(&player_view::updated_at);
    of_view(&player_view::last_active_at);
    of_view(&player_view::revision);
    of_view(&player_view::position);
    column(rows, q, [](const player_row& r) { return r.level_position; });
    column(rows, q, [](const player_row& r) { return r.wealth; });
    column(rows, q, [](const player_row& r) { return r.wealth_position; });
    return q;
}

query upsert_techniques(const std::vector<technique_row>& rows) {
    query q{"INSERT INTO player_techniques (id, player_id, technique_id, proficiency_level, "
            "proficiency_experience, max_proficiency_level, learned_at, learned_from, times_used, "
            "last_used_at, position) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], "
            "$4::integer[], $5::bigint[], $6::integer[], $7::timestamptz[], $8::text[], "
            "$9::bigint[], $10::timestamptz[], $11::bigint[]) "
            "ON CONFLICT (player_id, technique_id) DO UPDATE SET "
            "proficiency_level = EXCLUDED.proficiency_level, "
            "proficiency_experience = EXCLUDED.proficiency_experience, "
            "max_proficiency_level = EXCLUDED.max_proficiency_level, "
            "learned_at = EXCLUDED.learned_at, learned_from = EXCLUDED.learned_from, "
            "times_used = EXCLUDED.times_used, last_used_at = EXCLUDED.last_used_at, "
            "position = EXCLUDED.position"};
    column(rows, q, [](const technique_row& r) {
        return base::uuid::make_derived("player_technique",
                                        r.player_id.text() + r.view.technique_id);
    });
    column(rows, q, [](const technique_row& r) { return r.player_id; });
    const auto of_view = [&](auto member) {
        column(rows, q, [member](const technique_row& r) { return r.view.*member; });
    };
    of_view(&technique_view::technique_id);
    of_view(&technique_view::proficiency_level);
    of_view(&technique_view::proficiency_experience);
    of_view(&technique_view::max_proficiency_level);
    of_view(&technique_view::learned_at);
    of_view(&technique_view::learned_from);
    of_view(&technique_view::times_used);
    of_view(&technique_view::last_used_at);
    of_view(&technique_view::position);
    return q;
}

query upsert_records(const std::vector<cultivation_view>& rows) {
    query q{
        "INSERT INTO cultivation_records (id, player_id, technique_id, technique_name, start_time, "
        "end_time, duration_seconds, progress, experience_gained, energy_consumed, "
        "breakthrough_achieved, insights_gained, status, end_reason, location, weather_bonus, "
        "time_bonus, created_at, updated_at, revision, position) "
        "SELECT id, player_id, technique_id, technique_name, start_time, end_time, duration, "
        "progress, experience, energy, breakthrough, CASE WHEN insights = '[]' THEN '{}'::text[] "
        "ELSE ARRAY(SELECT jsonb_array_elements_text(insights::jsonb)) END, status, end_reason, "
        "location, weather, time_of_day, created_at, updated_at, revision, position "
        "FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], "
        "$6::timestamptz[], $7::bigint[], $8::numeric[], $9::bigint[], $10::bigint[], "
        "$11::boolean[], $12::text[], $13::text[], $14::text[], $15::text[], $16::numeric[], "
        "$17::numeric[], $18::timestamptz[], $19::timestamptz[], $20::bigint[], $21::bigint[]) "
        "AS n (id, player_id, technique_id, technique_name, start_time, end_time, duration, "
        "progress, experience, energy, breakthrough, insights, status, end_reason, location, "
        "weather, time_of_day, created_at, updated_at, revision, position) "
        "ON CONFLICT (id, start_time) DO UPDATE SET player_id = EXCLUDED.player_id, "
        "technique_id = EXCLUDED.technique_id, technique_name = EXCLUDED.technique_name, "
        "end_time = EXCLUDED.end_time, duration_seconds = EXCLUDED.duration_seconds, "
        "progress = EXCLUDED.progress, experience_gained = EXCLUDED.experience_gained, "
        "energy_consumed = EXCLUDED.energy_consumed, "
        "breakthrough_achieved = EXCLUDED.breakthrough_achieved, "
        "insights_gained = EXCLUDED.insights_gained, status = EXCLUDED.status, "
        "end_reason = EXCLUDED.end_reason, location = EXCLUDED.location, "
        "weather_bonus = EXCLUDED.weather_bonus, time_bonus = EXCLUDED.time_bonus, "
        "created_at = EXCLUDED.created_at, updated_at = EXCLUDED.updated_at, "
        "revision = EXCLUDED.revision, position = EXCLUDED.position"};
    const auto of = [&](auto member) {
        column(rows, q, [member](const cultivation_view& r) { return r.*member; });
    };
    of(&cultivation_view::session_id);
    of(&cultivation_view::player_id);
    of(&cultivation_view::technique_id);
    of(&cultivation_view::technique_name);
    of(&cultivation_view::start_time);
    of(&cultivation_view::end_time);
    of(&cultivation_view::duration_seconds);
    of(&cultivation_view::progress);
    of(&cultivation_view::experience_gained);
    of(&cultivation_view::energy_consumed);
    of(&cultivation_view::breakthrough_achieved);
    column(rows, q, [](const cultivation_view& r) { return base::encode_text(r.insights_gained); });
    of(&cultivation_view::status);
    of(&cultivation_view::end_reason);
    of(&cultivation_view::location);
    of(&cultivation_view::weather_bonus);
    of(&cultivation_view::time_bonus);
    of(&cultivation_view::created_at);
    of(&cultivation_view::updated_at);
    of(&cultivation_view::revision);
    of(&cultivation_view::position);
    return q;
}

query add_statistics(const std::vector<statistics_change>& rows) {
    query q{"INSERT INTO player_statistics_totals AS t (player_id, total_cultivation_sessions, "
            "total_cultivation_seconds, total_experience_from_cultivation, "
            "breakthroughs_achieved, total_techniques, master_level_techniques, "
            "cultivation_position, position) SELECT * FROM unnest($1::uuid[], $2::bigint[], "
            "$3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], "
            "$9::bigint[]) ON CONFLICT (player_id) DO UPDATE SET "
            "total_cultivation_sessions = "
            "t.total_cultivation_sessions + EXCLUDED.total_cultivation_sessions, "
            "total_cultivation_seconds = "
            "t.total_cultivation_seconds + EXCLUDED.total_cultivation_seconds, "
            "total_experience_from_cultivation = "
            "t.total_experience_from_cultivation + EXCLUDED.total_experience_from_cultivation, "
            "breakthroughs_achieved = t.breakthroughs_achieved + EXCLUDED.breakthroughs_achieved, "
            "total_techniques = t.total_techniques + EXCLUDED.total_techniques, "
            "master_level_techniques = "
            "t.master_level_techniques + EXCLUDED.master_level_techniques, "
            "cultivation_position = "
            "GREATEST(t.cultivation_position, EXCLUDED.cultivation_position), "
            "position = GREATEST(t.position, EXCLUDED.position) "
            "RETURNING t.player_id, " IMMORTAL_TOTALS_COLUMNS};
    const auto of = [&](auto member) {
        column(rows, q, [member](const statistics_change& r) { return r.*member; });
    };
    of(&statistics_change::player_id);
    of(&statistics_change::sessions);
    of(&statistics_change::seconds);
    of(&statistics_change::experience);
    of(&statistics_change::breakthroughs);
    of(&statistics_change::techniques);
    of(&statistics_change::masters);
    of(&statistics_change::cultivation_position);
    of(&statistics_change::position);
    return q;
}

query upsert_due(const std::vector<due_command>& rows) {
    query q{"INSERT INTO due_commands (thing, revision, owner, command, due_at, position) "
            "SELECT * FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::text[], "
            "$5::timestamptz[], $6::bigint[]) ON CONFLICT (thing) DO UPDATE SET "
            "revision = EXCLUDED.revision, owner = EXCLUDED.owner, command = EXCLUDED.command, "
            "due_at = EXCLUDED.due_at, position = EXCLUDED.position"};
    const auto of = [&](auto member) {
        column(rows, q, [member](const due_command& r) { return r.*member; });
    };
    of(&due_command::thing);
    of(&due_command::revision);
    of(&due_command::owner);
    of(&due_command::command);
    of(&due_command::due_at);
    of(&due_command::position);
    return q;
}

query delete_due(const std::vector<std::string>& things) {
    query q{"DELETE FROM due_commands WHERE thing = ANY($1::text[])"};
    q.values.add_array(things);
    return q;
}

query insert_dead_letters(const std::vector<parked_owner>& rows) {
    query q{"INSERT INTO dead_letters (owner, partition, position, event_id, event_type, stream, "
            "error) SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::uuid[], "
            "$5::text[], $6::text[], $7::text[]) ON CONFLICT (owner, position) DO UPDATE SET "
            "error = EXCLUDED.error, state = 'parked', parked_at = EXCLUDED.parked_at"};
    column(rows, q, [](const parked_owner& r) { return r.owner; });
    column(rows, q,
           [](const parked_owner& r) { return static_cast<std::int64_t>(partition_of(r.owner)); });
    column(rows, q, [](const parked_owner& r) { return r.position; });
    column(rows, q, [](const parked_owner& r) { return r.event_id; });
    column(rows, q, [](const parked_owner& r) { return r.event_type; });
    column(rows, q, [](const parked_owner& r) { return r.stream; });
    column(rows, q, [](const parked_owner& r) { return r.error; });
    return q;
}

// The month's partition exists before its first row; any day of the month names it.
query ensure_months(const std::vector<cultivation_view>& rows) {
    std::set<std::chrono::year_month> months;
    for (const cultivation_view& row : rows) {
        const std::chrono::year_month_day day(
            std::chrono::floor<std::chrono::days>(row.start_time));
        months.insert(day.year() / day.month());
    }
    std::vector<std::string> firsts;
    for (const auto month : months) {
        firsts.push_back(base::iso_text(std::chrono::sys_days(month / 1)).substr(0, 10));
    }
    query q{"SELECT create_monthly_partition('cultivation_records', d) "
            "FROM unnest($1::date[]) AS d"};
    q.values.add_array(firsts);
    return q;
}

void append_deletions(const std::vector<base::uuid>& owners, std::vector<query>& out) {
    const auto add = [&](postgres::sql_text text) {
        query q{text};
        q.values.add_array(owners);
        out.push_back(std::move(q));
    };
    add("DELETE FROM players WHERE id = ANY($1::uuid[])");
    add("DELETE FROM player_techniques WHERE player_id = ANY($1::uuid[])");
    add("DELETE FROM cultivation_records WHERE player_id = ANY($1::uuid[])");
    add("DELETE FROM player_statistics_totals WHERE player_id = ANY($1::uuid[])");
    add("DELETE FROM due_commands WHERE owner = ANY($1::uuid[])");
    add("DELETE FROM dead_letters WHERE owner = ANY($1::uuid[]) AND state IN ('parked', 'retry')");
    add("UPDATE dead_letters SET state = 'skipped' WHERE owner = ANY($1::uuid[])");
}

} // namespace

std::vector<query> row_statements_of(const prepared_batch& batch) {
    std::vector<query> out;
    if (!batch.replaced.empty()) {
        append_deletions(batch.replaced, out);
    }
    if (!batch.records.empty()) {
        out.push_back(ensure_months(batch.records));
        out.push_back(upsert_records(batch.records));
    }
    if (!batch.players.empty()) {
        out.push_back(upsert_players(batch.players));
    }
    if (!batch.techniques.empty()) {
        out.push_back(upsert_techniques(batch.techniques));
    }
    if (!batch.settled.empty()) {
        out.push_back(delete_due(batch.settled));
    }
    if (!batch.due.empty()) {
        out.push_back(upsert_due(batch.due));
    }
    if (!batch.parked.empty()) {
        out.push_back(insert_dead_letters(batch.parked));
    }
    if (!batch.statistics.empty()) { // last: see totals_of
        out.push_back(add_statistics(batch.statistics));
    }
    return out;
}

std::vector<query> statements_of(const prepared_batch& batch, const std::vector<lease>& leases,
                                 milliseconds lease_time) {
    std::vector<query> out;
    out.push_back(fence_query(leases, batch.to, lease_time));
    // Rows and checkpoint may go back together when PostgreSQL dies: the log has it all. So COMMIT
    // does not wait for the disk, which the log needs.
    out.push_back({"SET LOCAL synchronous_commit = off"});
    for (query& q : row_statements_of(batch)) {
        out.push_back(std::move(q));
    }
    return out;
}

std::vector<statistics_totals> totals_of(const prepared_batch& batch,
                                         const std::vector<postgres::rows>& answers) {
    std::vector<statistics_totals> out;
    if (!batch.statistics.empty()) {
        const postgres::rows& changed = answers.back();
        for (std::size_t i = 0; i < changed.size(); ++i) {
            out.push_back(read_totals(changed.get<base::uuid>(i, 0), changed, i, 1));
        }
    }
    return out;
}

} // namespace immortal::readmodel
