#include "game/cultivation.hpp"

#include "base/assert.hpp"
#include "game/stream_name.hpp"

#include <algorithm>
#include <cmath>

namespace immortal::game::cultivation {

// --- stream id ---

std::string stream_of(const base::uuid& session) {
    return stream_name(category, session);
}

std::optional<base::uuid> id_of_stream(std::string_view stream) noexcept {
    return id_in_stream(category, stream);
}

// --- state and evolve ---

namespace {

constexpr std::int64_t progress_whole = 10'000;
// Of sessions whose first event does not say it; stays what it is, whatever the rules become.
constexpr std::int64_t unattended_seconds_unsaid = 86'400;

std::int64_t to_parts(double progress) {
    return std::clamp<std::int64_t>(std::llround(progress * progress_whole), 0, progress_whole);
}

double to_fraction(std::int64_t parts) {
    return static_cast<double>(parts) / progress_whole;
}

void apply(state& on, const cultivation_started& e) {
    on = state{};
    on.exists = true;
    on.session_id = e.session_id;
    on.player_id = e.player_id;
    on.technique_id = e.technique_id;
    on.technique_name = e.technique_name;
    on.start_time = e.start_time;
    on.expected_duration = e.expected_duration;
    on.expected_experience = e.expected_experience;
    on.time_scale = e.time_scale;
    on.energy_consumed = e.energy_cost;
    on.location = e.location;
    on.location_bonus_percent = e.location_bonus_percent;
    on.weather_bonus_percent = e.weather_bonus_percent;
    on.time_bonus_percent = e.time_bonus_percent;
    on.ready_at = e.ready_at;
    on.unattended_at =
        e.unattended_at.value_or(e.ready_at + real_time(e.time_scale, unattended_seconds_unsaid));
    on.updated_at = e.start_time;
}

void apply(state& on, const cultivation_progress& e) {
    on.progress = to_parts(e.progress);
    on.experience_gained = e.total_experience_gained;
    on.updated_at = e.timestamp;
}

void end(state& on, base::utc_time at, session_status how, std::int64_t duration,
         std::int64_t experience, std::string reason) {
    on.status = how;
    on.end_time = at;
    on.duration = duration;
    on.experience_gained = experience;
    on.end_reason = std::move(reason);
    on.updated_at = at;
}

void apply(state& on, const cultivation_completed& e) {
    end(on, e.completed_at, session_status::completed, e.total_duration, e.total_experience_gained,
        e.reason.value_or("completed"));
    on.progress = progress_whole;
    on.breakthrough_achieved = e.breakthrough_achieved;
    on.insights_gained = e.new_insights;
}

void apply(state& on, const cultivation_interrupted& e) {
    end(on, e.interrupted_at, session_status::interrupted, e.total_duration,
        e.total_experience_gained, e.reason);
    on.progress = to_parts(e.progress);
}

void apply(state& on, const cultivation_failed& e) {
    end(on, e.failed_at, session_status::failed, e.total_duration, e.total_experience_gained,
        e.reason);
    on.progress = progress_whole;
    on.insights_gained = e.new_insights;
}

} // namespace

void evolve(state& on, const event& what) {
    std::visit([&](const auto& e) { apply(on, e); }, what);
}

base::result<bool> evolve(state& on, std::string_view type, std::string_view data) {
    auto decoded = decode_event<event>(type, data);
    if (!decoded) {
        return base::fail(std::move(decoded.error()));
    }
    if (!*decoded) {
        return false;
    }
    evolve(on, **decoded);
    return true;
}

// --- decide ---

namespace {

std::optional<rejection> ended(const state& of, const player::state& by) {
    if (of.status == session_status::active && by.cultivation_session == of.session_id) {
        return std::nullopt;
    }
    return rejection{"session_ended", "This session has ended."};
}

// Experience earned from the start to `elapsed` game seconds.
std::int64_t earned(const state& of, std::int64_t elapsed_seconds) {
    const __int128 product = static_cast<__int128>(of.expected_experience) * elapsed_seconds;
    return static_cast<std::int64_t>(product / of.expected_duration);
}

std::int64_t progress_at(const state& of, std::int64_t elapsed_seconds) {
    const __int128 product = static_cast<__int128>(progress_whole) * elapsed_seconds;
    return static_cast<std::int64_t>(product / of.expected_duration);
}

std::string_view stage_of(std::int64_t progress) {
    return progress < 2'500   ? "entering"
           : progress < 5'000 ? "circulating"
           : progress < 7'500 ? "refining"
                              : "consolidating";
}

std::vector<std::string> draw_insights(const player::state& by, dice& throws, const context& with) {
    // A point of chance for every ten of intelligence above the first ten, at most twenty.
    const std::int64_t chance =
        with.numbers.insight_chance_percent +
        std::clamp<std::int64_t>((by.attributes_now.intelligence - 10) / 10, 0, 20);
    const auto known = with.data.insights();
    std::vector<std::string> out;
    for (std::int64_t i = 0; i < with.numbers.insights_max; ++i) {
        const bool drawn = throws.chance(chance);
        const auto which = throws.roll(static_cast<std::int64_t>(known.size()));
        const std::string& text = known[static_cast<std::size_t>(which)].zh;
        if (drawn && std::find(out.begin(), out.end(), text) == out.end()) {
            out.push_back(text);
        }
    }
    return out;
}

void gain_proficiency(player::builder& build, const state& of, const context& with) {
    const player::known_technique* known = player::find_technique(build.now(), of.technique_id);
    if (known == nullptr) {
        return;
    }
    const std::int64_t amount =
        std::max<std::int64_t>(1, of.expected_duration * with.numbers.proficiency_per_hour / 3600);
    const std::int64_t total = add_capped(known->proficiency_experience, amount);
    build.add(player::technique_proficiency_gained{build.now().id, of.technique_id, amount, total,
                                                   proficiency_level(with.numbers, total),
                                                   build.time()});
}

// Throws for the next realm if the player stands before it. Empty: no attempt.
std::optional<bool> attempt_breakthrough(player::builder& build, const state& of, dice& throws,
                                         std::int64_t granted, const context& with) {
    const player::state& now = build.now();
    if (!player::ready_for_breakthrough(now, with.data)) {
        return std::nullopt;
    }
    const std::size_t index = with.data.realm_index(now.realm);
    const realm& from = with.data.realms()[index];
    const player::known_technique* known = player::find_technique(now, of.technique_id);
    if (known == nullptr || known->proficiency_level < from.breakthrough->proficiency_requirement) {
        return std::nullopt;
    }
    player::realm_breakthrough_attempted e;
    e.player_id = now.id;
    e.session_id = of.session_id.text();
    e.from_realm = now.realm;
    e.to_realm = with.data.realms()[index + 1].name.zh;
    e.chance_percent = player::breakthrough_chance(now, with);
    e.roll = throws.roll(100);
    e.succeeded = e.roll < e.chance_percent;
    e.timestamp = build.time();
    const bool succeeded = e.succeeded;
    build.add(std::move(e));
    if (succeeded) {
        build.break_through(granted);
    } else if (const std::int64_t left =
                   now.energy - percent_of(now.energy, with.numbers.backlash_energy_percent);
               left != now.energy) {
        build.change_energy(left, energy_reason::cultivation);
    }
    return succeeded;
}

std::optional<rejection> cannot_start(const player::state& by, const technique* t,
                                      const location* place, const new_session& as) {
    if (by.status != player_status::idle) {
        return rejection{"busy", by.status == player_status::cultivating
                                     ? "The player is cultivating already."
                                     : "The player is busy with something else."};
    }
    if (t == nullptr) {
        return rejection{"unknown_technique", "There is no such technique."};
    }
    if (t->technique_type != technique_type::cultivation) {
        return rejection{"not_cultivable", "This technique is not one to cultivate with."};
    }
    if (player::find_technique(by, as.technique_id) == nullptr) {
        return rejection{"not_learned", "The player does not know this technique."};
    }
    if (place == nullptr) {
        return rejection{"unknown_location", "There is no such place."};
    }
    if (place->location_id != by.current_location) {
        return rejection{"not_there", "The player is elsewhere; move there first."};
    }
    return std::nullopt;
}

cultivation_started opening(const player::state& by, const new_session& as, const technique& t,
                            const location& place, base::utc_time at, const context& with) {
    dice throws(with.dice_seed);
    const player::known_technique* known = player::find_technique(by, as.technique_id);
    cultivation_started e;
    e.session_id = as.session_id;
    e.player_id = by.id;
    e.technique_id = t.technique_id;
    e.technique_name = t.name.zh;
    e.start_time = at;
    e.expected_duration = t.cultivation_time_hours * 3600;
    e.energy_cost = t.energy_cost;
    e.location = place.location_id;
    e.location_bonus_percent = place.cultivation_bonus_percent;
    e.weather = weather_of(throws.roll(100));
    e.weather_bonus_percent = weather_bonus_percent(e.weather);
    e.hour = hour_name(at);
    e.time_bonus_percent = time_bonus_percent(at);
    std::int64_t experience = percent_of(t.experience_gain, e.location_bonus_percent);
    experience = percent_of(experience, e.weather_bonus_percent);
    experience = percent_of(experience, e.time_bonus_percent);
    experience = percent_of(experience, 100 + (known->proficiency_level - 1) *
                                                  with.numbers.proficiency_bonus_percent);
    e.expected_experience = std::max<std::int64_t>(1, experience);
    e.time_scale = with.numbers.time_scale;
    e.ready_at = at + real_time(e.time_scale, e.expected_duration);
    e.unattended_at = e.ready_at + real_time(e.time_scale, with.numbers.unattended_seconds);
    return e;
}

} // namespace

decided<events> start(const state& of, const player::state& by, const new_session& as,
                      const context& with) {
    if (of.exists) {
        return reject("session_ended", "This session has begun already.");
    }
    const technique* t = with.data.find_technique(as.technique_id);
    const location* place = with.data.find_location(as.location.value_or(by.current_location));
    if (auto no = cannot_start(by, t, place, as)) {
        return std::unexpected(std::move(*no));
    }
    player::builder build(by, with);
    if (build.now().energy < t->energy_cost) {
        return reject("not_enough_energy", "This needs " + std::to_string(t->energy_cost) +
                                               " energy; the player has " +
                                               std::to_string(build.now().energy) + ".");
    }
    cultivation_started opened = opening(build.now(), as, *t, *place, build.time(), with);
    if (t->energy_cost > 0) {
        build.change_energy(build.now().energy - t->energy_cost, energy_reason::cultivation);
    }
    build.change_status(player_status::cultivating, as.session_id);
    return events{{std::move(opened)}, std::move(build).take()};
}

decided<events> progress(const state& of, const player::state& by, const context& with) {
    if (auto no = ended(of, by)) {
        return std::unexpected(std::move(*no));
    }
    player::builder build(by, with);
    const std::int64_t seconds = elapsed(of, build.time());
    const std::int64_t total = earned(of, seconds);
    const std::int64_t gained = total - of.experience_gained;
    if (gained <= 0) {
        return reject("no_progress", "Nothing has been gained since the last time.");
    }
    cultivation_progress e;
    e.session_id = of.session_id;
    e.player_id = of.player_id;
    e.start_time = of.start_time;
    const std::int64_t parts = progress_at(of, seconds);
    e.progress = to_fraction(parts);
    e.experience_gained = gained;
    e.total_experience_gained = total;
    e.current_stage = stage_of(parts);
    e.elapsed_duration = seconds;
    e.timestamp = build.time();
    build.grant_experience(gained, experience_source::cultivation, of.session_id.text());
    return events{{std::move(e)}, std::move(build).take()};
}

decided<events> complete(const state& of, const player::state& by, const context& with) {
    if (auto no = ended(of, by)) {
        return std::unexpected(std::move(*no));
    }
    player::builder build(by, with);
    const std::int64_t seconds = elapsed(of, build.time());
    if (seconds < of.expected_duration) {
        return reject("not_finished", "The session still takes " +
                                          std::to_string(of.expected_duration - seconds) +
                                          " seconds of game time.");
    }
    dice throws(with.dice_seed);
    std::vector<std::string> insights = draw_insights(build.now(), throws, with);
    const std::int64_t bonus =
        static_cast<std::int64_t>(insights.size()) * with.numbers.insight_bonus_percent;
    const std::int64_t total = percent_of(of.expected_experience, 100 + bonus);
    const std::int64_t granted = total - of.experience_gained;
    build.grant_experience(granted, experience_source::cultivation, of.session_id.text());
    gain_proficiency(build, of, with);
    const auto breakthrough = attempt_breakthrough(build, of, throws, granted, with);
    build.change_status(player_status::idle, std::nullopt);
    event last;
    if (breakthrough.has_value() && !*breakthrough) {
        last = cultivation_failed{of.session_id,       of.player_id,         of.start_time,
                                  build.time(),        of.expected_duration, total,
                                  std::move(insights), "breakthrough_failed"};
    } else {
        last = cultivation_completed{of.session_id,
                                     of.player_id,
                                     of.start_time,
                                     build.time(),
                                     of.expected_duration,
                                     total,
                                     breakthrough.value_or(false),
                                     std::move(insights),
                                     std::nullopt};
    }
    return events{{std::move(last)}, std::move(build).take()};
}

namespace {

// Ends the session where it stands; the player is idle afterwards.
cultivation_interrupted break_off(const state& of, player::builder& build, std::string reason) {
    const std::int64_t seconds = elapsed(of, build.time());
    const std::int64_t total = std::max(of.experience_gained, earned(of, seconds));
    cultivation_interrupted e;
    e.session_id = of.session_id;
    e.player_id = of.player_id;
    e.start_time = of.start_time;
    e.interrupted_at = build.time();
    e.progress = to_fraction(progress_at(of, seconds));
    e.total_duration = seconds;
    e.total_experience_gained = total;
    e.reason = std::move(reason);
    build.grant_experience(total - of.experience_gained, experience_source::cultivation,
                           of.session_id.text());
    build.change_status(player_status::idle, std::nullopt);
    return e;
}

} // namespace

decided<events> interrupt(const state& of, const player::state& by, const context& with) {
    if (auto no = ended(of, by)) {
        return std::unexpected(std::move(*no));
    }
    player::builder build(by, with);
    event last = break_off(of, build, "player");
    return events{{std::move(last)}, std::move(build).take()};
}

decided<events> complete_unattended(const state& of, const player::state& by, const context& with) {
    if (auto no = ended(of, by)) {
        return std::unexpected(std::move(*no));
    }
    player::builder build(by, with);
    if (build.time() < of.unattended_at || elapsed(of, build.time()) < of.expected_duration) {
        return reject("not_unattended", "The player still has time to complete the session.");
    }
    const std::int64_t total = std::max(of.experience_gained, of.expected_experience);
    build.grant_experience(total - of.experience_gained, experience_source::cultivation,
                           of.session_id.text());
    gain_proficiency(build, of, with);
    build.become_idle_unattended(by.last_active_at);
    event last = cultivation_completed{
        of.session_id, of.player_id, of.start_time, build.time(), of.expected_duration, total,
        false,         {},           "unattended"};
    return events{{std::move(last)}, std::move(build).take()};
}

decided<events> erase_player(const state& of, const player::state& by, const context& with) {
    if (auto no = ended(of, by)) {
        return std::unexpected(std::move(*no));
    }
    player::builder build(by, with);
    event last = break_off(of, build, "erased");
    build.add(player::player_erased{by.id, build.time()});
    return events{{std::move(last)}, std::move(build).take()};
}

// --- queries ---

std::int64_t elapsed(const state& of, base::utc_time at) noexcept {
    return std::min(of.expected_duration, game_seconds(of.time_scale, of.start_time, at));
}

} // namespace immortal::game::cultivation
