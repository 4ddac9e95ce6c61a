#include "readmodel/fold.hpp"

#include "game/catalog.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace immortal::readmodel {

namespace {

using game::player::known_technique;

constexpr std::int64_t master_level = 10;

// The playerId of our own encoder's JSON, without parsing: inside a JSON text a quote is escaped,
// so the pattern can only be the key.
std::optional<base::uuid> player_id_in(std::string_view data) {
    constexpr std::string_view key = "\"playerId\":\"";
    const auto at = data.find(key);
    if (at != std::string_view::npos) {
        return base::uuid::parse(data.substr(at + key.size(), 36));
    }
    const auto parsed = base::parse_json(data); // another writer's spacing
    const auto* object = parsed ? parsed->if_object() : nullptr;
    const auto* value = object != nullptr ? object->if_contains("playerId") : nullptr;
    return value != nullptr && value->is_string() ? base::uuid::parse(value->get_string())
                                                  : std::nullopt;
}

base::status check_next(std::optional<base::revision> last, const recorded_event& event) {
    const std::uint64_t expected = last ? last->value + 1 : 0;
    if (event.revision.value == expected) {
        return {};
    }
    return base::fail(base::errc::corrupt, "event number " + std::to_string(event.revision.value) +
                                               " came where number " + std::to_string(expected) +
                                               " was due");
}

template <typename Variant>
base::result<std::optional<Variant>> read_event(const recorded_event& event) {
    try {
        return game::decode_event<Variant>(event.type, event.data);
    } catch (const std::exception& e) {
        return base::fail(base::errc::corrupt, e.what());
    }
}

// Which technique an event changes; null: none.
const std::string* technique_of(const game::player::event& event) {
    if (const auto* learned = std::get_if<game::player::technique_learned>(&event)) {
        return &learned->technique_id;
    }
    if (const auto* gained = std::get_if<game::player::technique_proficiency_gained>(&event)) {
        return &gained->technique_id;
    }
    return nullptr;
}

technique_view view_of(const known_technique& from, base::position at, const game::catalog& names) {
    const game::technique* entry = names.find_technique(from.technique_id);
    technique_view out;
    out.technique_id = from.technique_id;
    out.technique_name = entry != nullptr ? entry->name.zh : from.technique_id;
    out.proficiency_level = static_cast<std::int32_t>(from.proficiency_level);
    out.proficiency_experience = from.proficiency_experience;
    out.max_proficiency_level = static_cast<std::int32_t>(from.max_proficiency_level);
    out.learned_at = from.learned_at;
    if (!from.learned_from.empty()) {
        out.learned_from = from.learned_from;
    }
    out.times_used = from.times_used;
    out.last_used_at = from.last_used_at;
    out.position = at;
    return out;
}

std::int64_t count_masters(const game::player::state& of) {
    return std::ranges::count_if(of.techniques, [](const known_technique& one) {
        return one.proficiency_level >= master_level;
    });
}

template <typename Enum>
std::string text_of(Enum value) {
    return boost::describe::enum_to_string(value, "");
}

} // namespace

std::optional<event_target> target_of(const recorded_event& event) {
    if (event.type.starts_with('$')) {
        return std::nullopt;
    }
    if (const auto player = game::player::id_of_stream(event.stream)) {
        return event_target{event_target::kind::player, *player, *player};
    }
    if (const auto session = game::cultivation::id_of_stream(event.stream)) {
        return event_target{event_target::kind::cultivation, *session,
                            player_id_in(event.data).value_or(*session)};
    }
    return std::nullopt;
}

std::int64_t wealth_of(std::int64_t gold, std::int64_t spirit_stones) noexcept {
    const std::int64_t room = base::json_integer_max - gold;
    return spirit_stones > room / gold_per_spirit_stone
               ? base::json_integer_max
               : gold + spirit_stones * gold_per_spirit_stone;
}

base::status player_fold::apply(const recorded_event& event) {
    if (auto next = check_next(revision_, event); !next) {
        return next;
    }
    auto decoded = read_event<game::player::event>(event);
    if (!decoded) {
        return base::fail(std::move(decoded.error()));
    }
    if (*decoded) {
        const std::int32_t level = state_.level;
        const std::int64_t wealth = wealth_of(state_.gold, state_.spirit_stones);
        const bool existed = state_.exists;
        const std::size_t known = state_.techniques.size();
        game::player::evolve(state_, **decoded);
        if (!existed || state_.level != level) {
            level_position_ = event.position;
        }
        if (!existed || wealth_of(state_.gold, state_.spirit_stones) != wealth) {
            wealth_position_ = event.position;
        }
        technique_positions_.resize(state_.techniques.size(), event.position);
        if (const std::string* changed = technique_of(**decoded)) {
            for (std::size_t i = 0; i < state_.techniques.size(); ++i) {
                if (state_.techniques[i].technique_id == *changed) {
                    technique_positions_[i] = event.position;
                }
            }
            const std::int64_t masters = count_masters(state_);
            if (state_.techniques.size() != known || masters != masters_) {
                masters_ = masters;
                counts_position_ = event.position;
            }
        }
    }
    revision_ = event.revision;
    position_ = event.position;
    return {};
}

player_row player_fold::row(const base::uuid& id) const {
    player_row out;
    player_view& v = out.view;
    v.id = id;
    v.user_id = state_.user_id;
    v.name = state_.name;
    v.level = state_.level;
    v.realm = state_.realm;
    v.experience = state_.experience;
    v.energy = state_.energy;
    v.max_energy = state_.attributes_now.max_energy;
    v.status = text_of(state_.status);
    v.strength = state_.attributes_now.strength;
    v.agility = state_.attributes_now.agility;
    v.intelligence = state_.attributes_now.intelligence;
    v.constitution = state_.attributes_now.constitution;
    v.gold = state_.gold;
    v.spirit_stones = state_.spirit_stones;
    v.current_location = state_.current_location;
    if (state_.coordinates) {
        v.coordinates = coordinates_view{state_.coordinates->x, state_.coordinates->y};
    }
    v.cultivation_session = state_.cultivation_session;
    v.created_at = state_.created_at;
    v.updated_at = state_.updated_at;
    v.last_active_at = state_.last_active_at;
    v.revision = revision_.value_or(base::revision{});
    v.position = position_;
    out.level_position = level_position_;
    out.wealth = wealth_of(state_.gold, state_.spirit_stones);
    out.wealth_position = wealth_position_;
    return out;
}

statistics_change player_fold::contribution() const {
    statistics_change out;
    out.techniques = static_cast<std::int64_t>(state_.techniques.size());
    out.masters = masters_;
    out.position = counts_position_;
    return out;
}

std::vector<technique_view> player_fold::techniques(const game::catalog& names,
                                                    std::optional<base::position> since) const {
    std::vector<technique_view> out;
    for (std::size_t i = 0; i < state_.techniques.size(); ++i) {
        if (!since || technique_positions_[i] > *since) {
            out.push_back(view_of(state_.techniques[i], technique_positions_[i], names));
        }
    }
    std::ranges::sort(out, {}, &technique_view::technique_id);
    return out;
}

base::status cultivation_fold::apply(const recorded_event& event) {
    if (auto next = check_next(revision_, event); !next) {
        return next;
    }
    auto decoded = read_event<game::cultivation::event>(event);
    if (!decoded) {
        return base::fail(std::move(decoded.error()));
    }
    if (*decoded) {
        const bool was_completed = state_.status == game::session_status::completed;
        const bool ran = running();
        game::cultivation::evolve(state_, **decoded);
        if (running() != ran) {
            due_position_ = event.position;
            due_revision_ = event.revision;
        }
        if (!was_completed && state_.status == game::session_status::completed) {
            completed_position_ = event.position;
        }
    }
    revision_ = event.revision;
    position_ = event.position;
    return {};
}

cultivation_view cultivation_fold::view(const base::uuid& id) const {
    cultivation_view out;
    out.session_id = id;
    out.player_id = state_.player_id;
    out.technique_id = state_.technique_id;
    out.technique_name = state_.technique_name;
    out.start_time = state_.start_time;
    out.end_time = state_.end_time;
    out.duration_seconds = state_.duration;
    out.progress = static_cast<double>(state_.progress) / 10'000.0;
    out.experience_gained = state_.experience_gained;
    out.energy_consumed = state_.energy_consumed;
    out.breakthrough_achieved = state_.breakthrough_achieved;
    out.insights_gained = state_.insights_gained;
    out.status = text_of(state_.status);
    out.end_reason = state_.end_reason;
    out.location = state_.location;
    out.weather_bonus = static_cast<double>(state_.weather_bonus_percent) / 100.0;
    out.time_bonus = static_cast<double>(state_.time_bonus_percent) / 100.0;
    out.created_at = state_.start_time;
    out.updated_at = state_.updated_at;
    out.revision = revision_.value_or(base::revision{});
    out.position = position_;
    return out;
}

bool cultivation_fold::running() const noexcept {
    return state_.exists && state_.status == game::session_status::active;
}

std::optional<due_command> cultivation_fold::due() const {
    if (!running()) {
        return std::nullopt;
    }
    return due_command{game::cultivation::stream_of(state_.session_id),
                       due_revision_,
                       state_.player_id,
                       complete_unattended_command,
                       state_.unattended_at,
                       due_position_};
}

statistics_change cultivation_fold::contribution() const {
    statistics_change out;
    out.player_id = state_.player_id;
    if (state_.exists && state_.status == game::session_status::completed) {
        out.sessions = 1;
        out.seconds = state_.duration.value_or(0);
        out.experience = state_.experience_gained;
        out.breakthroughs = state_.breakthrough_achieved ? 1 : 0;
        out.position = completed_position_;
        out.cultivation_position =
            state_.experience_gained > 0 ? completed_position_ : base::position{};
    }
    return out;
}

} // namespace immortal::readmodel
