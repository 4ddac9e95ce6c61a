#include "game/player.hpp"

#include "base/assert.hpp"
#include "game/stream_name.hpp"

#include <algorithm>
#include <array>

namespace immortal::game::player {

// --- stream id ---

std::string stream_of(const base::uuid& player) {
    return stream_name(category, player);
}

std::optional<base::uuid> id_of_stream(std::string_view stream) noexcept {
    return id_in_stream(category, stream);
}

// --- state and evolve ---

namespace {

known_technique* find(state& in, std::string_view id) {
    const auto found = std::find_if(in.techniques.begin(), in.techniques.end(),
                                    [&](const auto& t) { return t.technique_id == id; });
    return found == in.techniques.end() ? nullptr : &*found;
}

void gain(state& on, const attributes& gains, base::utc_time at) {
    // A full player does not save up regeneration for the room that the gain makes.
    if (on.energy >= on.attributes_now.max_energy) {
        on.energy_since = at;
    }
    on.attributes_now += gains;
}

base::utc_time apply(state& on, const player_created& e) {
    on = state{};
    on.exists = true;
    on.id = e.player_id;
    on.user_id = e.user_id;
    on.name = e.player_name;
    on.level = e.initial_level;
    on.realm = e.initial_realm;
    on.energy = e.initial_energy;
    on.attributes_now = e.initial_attributes;
    on.gold = e.initial_gold;
    on.spirit_stones = e.initial_spirit_stones;
    on.current_location = e.initial_location;
    on.coordinates = e.initial_coordinates;
    on.energy_since = e.created_at;
    on.created_at = e.created_at;
    return e.created_at;
}

base::utc_time apply(state& on, const player_level_up& e) {
    if (e.new_realm != on.realm) {
        on.breakthrough_failures = 0;
    }
    on.level = e.new_level;
    on.realm = e.new_realm;
    gain(on, e.attribute_gains, e.timestamp);
    return e.timestamp;
}

base::utc_time apply(state& on, const player_energy_changed& e) {
    if (e.regenerated_until) {
        on.energy_since = *e.regenerated_until;
    } else if (e.old_energy >= on.attributes_now.max_energy) {
        on.energy_since = e.timestamp;
    }
    if (e.change_reason == energy_reason::rest) {
        on.last_rest_at = e.timestamp;
    }
    on.energy = e.new_energy;
    return e.timestamp;
}

base::utc_time apply(state& on, const player_moved& e) {
    on.current_location = e.new_location;
    on.coordinates = e.coordinates;
    return e.timestamp;
}

base::utc_time apply(state& on, const player_status_changed& e) {
    on.status = e.new_status;
    on.cultivation_session =
        e.new_status == player_status::cultivating ? e.session_id : std::nullopt;
    return e.timestamp;
}

base::utc_time apply(state& on, const currency_changed& e) {
    (e.currency == currency::gold ? on.gold : on.spirit_stones) = e.new_amount;
    return e.timestamp;
}

base::utc_time apply(state& on, const experience_gained& e) {
    on.experience = e.total_experience;
    return e.timestamp;
}

base::utc_time apply(state& on, const attributes_changed& e) {
    gain(on, e.attribute_gains, e.timestamp);
    return e.timestamp;
}

base::utc_time apply(state& on, const technique_learned& e) {
    if (find(on, e.technique_id) == nullptr) {
        known_technique learned;
        learned.technique_id = e.technique_id;
        learned.max_proficiency_level = e.max_proficiency_level;
        learned.learned_at = e.timestamp;
        learned.learned_from = e.learned_from;
        on.techniques.push_back(std::move(learned));
    }
    return e.timestamp;
}

base::utc_time apply(state& on, const technique_proficiency_gained& e) {
    if (known_technique* known = find(on, e.technique_id); known != nullptr) {
        known->proficiency_experience = e.proficiency_experience;
        known->proficiency_level = e.proficiency_level;
        known->last_used_at = e.timestamp;
        ++known->times_used;
    }
    return e.timestamp;
}

base::utc_time apply(state& on, const realm_breakthrough_attempted& e) {
    on.breakthrough_failures = e.succeeded ? 0 : on.breakthrough_failures + 1;
    return e.timestamp;
}

base::utc_time apply(state& on, const player_erased& e) {
    on.erased = true;
    on.name.clear();
    return e.erased_at;
}

} // namespace

void evolve(state& on, const event& what) {
    const base::utc_time at = std::visit([&](const auto& e) { return apply(on, e); }, what);
    on.updated_at = at;
    if (std::holds_alternative<player_erased>(what)) {
        return;
    }
    const auto* status = std::get_if<player_status_changed>(&what);
    on.last_active_at = status != nullptr ? status->last_active_at.value_or(at) : at;
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

std::optional<rejection> busy(const state& of) {
    if (of.status == player_status::idle) {
        return std::nullopt;
    }
    return rejection{"busy", of.status == player_status::cultivating
                                 ? "The player is cultivating; complete or interrupt it first."
                                 : "The player is busy with something else."};
}

// How the technique is learned by asking for it; empty: it is not.
std::string_view source_of(const technique& t) {
    static constexpr std::array<std::string_view, 4> teachable{"system", "master", "book",
                                                               "enlightenment"};
    for (const std::string& source : t.obtainable_from) {
        if (std::find(teachable.begin(), teachable.end(), source) != teachable.end()) {
            return source;
        }
    }
    return {};
}

std::optional<rejection> requirement_missing(const state& of, const technique& t,
                                             const catalog& data) {
    if (of.level < t.level_requirement) {
        return rejection{"level_too_low",
                         "This technique needs level " + std::to_string(t.level_requirement) + "."};
    }
    if (t.realm_requirement &&
        data.realm_index(of.realm) < data.realm_index(*t.realm_requirement)) {
        return rejection{"realm_too_low",
                         "This technique needs the realm " + *t.realm_requirement + "."};
    }
    for (const std::string& needed : t.prerequisite_techniques) {
        if (find_technique(of, needed) == nullptr) {
            return rejection{"prerequisite_missing", "Learn " + needed + " first."};
        }
    }
    return std::nullopt;
}

} // namespace

decided<events> create(const state& of, const new_player& as, const context& with) {
    if (of.exists) {
        return reject("player_exists", "The player exists already.");
    }
    const rules& numbers = with.numbers;
    const location* home = with.data.find_location(numbers.initial_location);
    player_created e;
    e.player_id = as.player_id;
    e.user_id = as.user_id;
    e.player_name = as.name;
    e.initial_realm = with.data.realms().front().name.zh;
    e.initial_level = 1;
    e.initial_attributes = {numbers.initial_attribute, numbers.initial_attribute,
                            numbers.initial_attribute, numbers.initial_attribute,
                            numbers.initial_energy};
    e.initial_energy = numbers.initial_energy;
    e.initial_gold = numbers.initial_gold;
    e.initial_spirit_stones = numbers.initial_spirit_stones;
    e.initial_location = numbers.initial_location;
    if (home != nullptr) {
        e.initial_coordinates = home->coordinates;
    }
    e.created_at = with.now;
    return events{std::move(e)};
}

decided<events> learn_technique(const state& of, std::string_view technique_id,
                                const context& with) {
    const technique* t = with.data.find_technique(technique_id);
    if (t == nullptr) {
        return reject("unknown_technique", "There is no such technique.");
    }
    if (auto no = busy(of)) {
        return std::unexpected(std::move(*no));
    }
    if (find_technique(of, technique_id) != nullptr) {
        return reject("already_learned", "The player knows this technique already.");
    }
    const std::string_view source = source_of(*t);
    if (source.empty()) {
        return reject("not_learnable", "Nobody teaches this technique; it is found in the world.");
    }
    if (auto no = requirement_missing(of, *t, with.data)) {
        return std::unexpected(std::move(*no));
    }
    builder build(of, with);
    build.add(technique_learned{of.id, t->technique_id, std::string(source),
                                with.numbers.proficiency_level_max, build.time()});
    if (t->passive_bonuses != attributes{}) {
        build.add(attributes_changed{of.id, t->passive_bonuses, attributes_reason::technique,
                                     t->technique_id, build.time()});
    }
    return std::move(build).take();
}

decided<events> rest(const state& of, const context& with) {
    if (auto no = busy(of)) {
        return std::unexpected(std::move(*no));
    }
    builder build(of, with);
    const std::int64_t most = of.attributes_now.max_energy;
    if (build.now().energy >= most) {
        return reject("energy_full", "The player is not tired.");
    }
    if (of.last_rest_at && game_seconds(with.numbers.time_scale, *of.last_rest_at, build.time()) <
                               with.numbers.rest_cooldown_seconds) {
        return reject("rest_too_soon", "The player has rested a short while ago.");
    }
    build.change_energy(std::min(most, build.now().energy + with.numbers.rest_energy),
                        energy_reason::rest);
    return std::move(build).take();
}

decided<events> move(const state& of, std::string_view location_id, const context& with) {
    const location* to = with.data.find_location(location_id);
    if (to == nullptr) {
        return reject("unknown_location", "There is no such place.");
    }
    if (auto no = busy(of)) {
        return std::unexpected(std::move(*no));
    }
    if (of.current_location == location_id) {
        return reject("already_there", "The player is there already.");
    }
    if (of.level < to->level_requirement) {
        return reject("level_too_low",
                      "This place needs level " + std::to_string(to->level_requirement) + ".");
    }
    builder build(of, with);
    build.add(
        player_moved{of.id, of.current_location, to->location_id, to->coordinates, build.time()});
    return std::move(build).take();
}

decided<events> erase(const state& of, const context& with) {
    if (of.erased) {
        return reject("player_erased", "The player has been erased already.");
    }
    return events{player_erased{of.id, std::max(with.now, of.updated_at)}};
}

// --- parts of decisions ---

builder::builder(const state& from, const context& with)
    : state_(from), with_(with), time_(std::max(with.now, from.updated_at)) {
    const std::int64_t energy = energy_at(from, time_, with.numbers);
    if (energy == from.energy) {
        return;
    }
    player_energy_changed e;
    e.player_id = from.id;
    e.old_energy = from.energy;
    e.new_energy = energy;
    e.change_reason = energy_reason::regeneration;
    // What is left of a begun point counts for the next one, unless the player is full.
    e.regenerated_until =
        energy >= from.attributes_now.max_energy
            ? time_
            : std::min(time_, from.energy_since + real_time(with.numbers.time_scale,
                                                            (energy - from.energy) *
                                                                with.numbers.regeneration_seconds));
    e.timestamp = time_;
    add(std::move(e));
}

void builder::add(event what) {
    evolve(state_, what);
    events_.push_back(std::move(what));
}

void builder::change_energy(std::int64_t to, energy_reason why) {
    IMMORTAL_ASSERT(to >= 0 && to <= state_.attributes_now.max_energy);
    add(player_energy_changed{state_.id, state_.energy, to, why, std::nullopt, time_});
}

void builder::change_status(player_status to, std::optional<base::uuid> session) {
    add(player_status_changed{state_.id, state_.status, to, session, time_, std::nullopt});
}

void builder::become_idle_unattended(base::utc_time last_active_at) {
    add(player_status_changed{state_.id, state_.status, player_status::idle, std::nullopt, time_,
                              last_active_at});
}

void builder::grant_experience(std::int64_t amount, experience_source source,
                               std::string source_id) {
    IMMORTAL_ASSERT(amount >= 0);
    const std::int64_t total = add_capped(state_.experience, amount);
    const std::int64_t granted = total - state_.experience;
    if (granted == 0) {
        return;
    }
    add(experience_gained{state_.id, granted, total, source, std::move(source_id), time_});
    const realm* in = with_.data.find_realm(state_.realm);
    IMMORTAL_ASSERT(in != nullptr);
    const std::int32_t level = level_reached(with_.data, *in, state_.level, total);
    if (level == state_.level) {
        return;
    }
    player_level_up up{state_.id,    state_.level, level, state_.realm,
                       state_.realm, granted,      {},    time_};
    for (std::int32_t l = state_.level; l < level; ++l) {
        up.attribute_gains += in->gains_per_level;
    }
    add(std::move(up));
}

void builder::break_through(std::int64_t experience_granted) {
    IMMORTAL_ASSERT(ready_for_breakthrough(state_, with_.data));
    const std::size_t index = with_.data.realm_index(state_.realm);
    const realm& from = with_.data.realms()[index];
    const realm& to = with_.data.realms()[index + 1];
    const std::int32_t level = level_reached(with_.data, to, to.first_level, state_.experience);
    player_level_up up{state_.id,
                       state_.level,
                       level,
                       state_.realm,
                       to.name.zh,
                       experience_granted,
                       from.breakthrough->bonus,
                       time_};
    for (std::int32_t l = state_.level; l < level; ++l) {
        up.attribute_gains += to.gains_per_level;
    }
    add(std::move(up));
    const std::int64_t reward = from.breakthrough->spirit_stones_reward;
    const std::int64_t stones = add_capped(state_.spirit_stones, reward);
    if (stones != state_.spirit_stones) {
        add(currency_changed{state_.id, currency::spirit_stones, state_.spirit_stones, stones,
                             currency_reason::breakthrough, to.realm_id, time_});
    }
}

// --- queries ---

const known_technique* find_technique(const state& of, std::string_view id) noexcept {
    const auto found = std::find_if(of.techniques.begin(), of.techniques.end(),
                                    [&](const auto& t) { return t.technique_id == id; });
    return found == of.techniques.end() ? nullptr : &*found;
}

bool ready_for_breakthrough(const state& of, const catalog& data) noexcept {
    const realm* in = data.find_realm(of.realm);
    return in != nullptr && in->breakthrough && of.level == in->last_level &&
           of.experience >= data.experience_at(of.level + 1);
}

std::int64_t breakthrough_chance(const state& of, const context& with) noexcept {
    const realm* in = with.data.find_realm(of.realm);
    if (in == nullptr || !in->breakthrough) {
        return 0;
    }
    const std::int64_t mercy = std::min<std::int64_t>(of.breakthrough_failures, 100) *
                               with.numbers.breakthrough_mercy_percent;
    return std::min(
        in->breakthrough->chance_percent + mercy,
        std::max(in->breakthrough->chance_percent, with.numbers.breakthrough_chance_max));
}

std::int64_t energy_at(const state& of, base::utc_time at, const rules& numbers) noexcept {
    const std::int64_t most = of.attributes_now.max_energy;
    if (of.energy >= most) {
        return of.energy;
    }
    const std::int64_t points =
        game_seconds(numbers.time_scale, of.energy_since, at) / numbers.regeneration_seconds;
    return std::min(most, add_capped(of.energy, points));
}

} // namespace immortal::game::player
