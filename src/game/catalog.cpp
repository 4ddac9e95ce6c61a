#include "game/catalog.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "game/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace immortal::game {

std::span<const base::embedded_file> embedded_catalog(); // generated from /catalog

// Reads the files one after the other into a catalogue; the first mistake ends it.
class catalog_loader {
public:
    base::result<catalog> load(std::span<const base::embedded_file> files);

private:
    template <typename T>
    void read(std::span<const base::embedded_file> files, std::string_view name,
              std::vector<T>& into);
    template <typename T, typename Id>
    void index(std::string_view file, const std::vector<T>& rows, Id id, catalog::index& into);
    void check_realms();
    void check_techniques();
    void check_locations();
    void check_items();
    void check_monsters();
    void mistake(std::string_view file, std::string_view entry, std::string_view what);
    void check_positive(std::string_view file, std::string_view entry, std::string_view field,
                        std::int64_t value, std::int64_t least);
    void check_realm_name(std::string_view file, std::string_view entry,
                          const std::optional<std::string>& name);

    catalog out_;
    std::optional<base::error> problem_;
};

namespace {

bool is_id(std::string_view id) {
    return !id.empty() && id.size() <= 100 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

constexpr std::int64_t number_max = 1'000'000'000'000; // keeps every product of rules in range

} // namespace

void catalog_loader::mistake(std::string_view file, std::string_view entry, std::string_view what) {
    if (!problem_) {
        problem_ = base::error{base::errc::invalid_argument,
                               fmt::format("catalogue file {}, entry {}: {}", file, entry, what),
                               "catalog", std::string(file)};
    }
}

void catalog_loader::check_positive(std::string_view file, std::string_view entry,
                                    std::string_view field, std::int64_t value,
                                    std::int64_t least) {
    if (value < least || value > number_max) {
        mistake(file, entry,
                fmt::format("{} is {}; it must be from {} to {}", field, value, least, number_max));
    }
}

template <typename T>
void catalog_loader::read(std::span<const base::embedded_file> files, std::string_view name,
                          std::vector<T>& into) {
    const auto file = std::find_if(files.begin(), files.end(),
                                   [&](const base::embedded_file& f) { return f.name == name; });
    if (file == files.end()) {
        return mistake(name, "-", "the file is missing");
    }
    const auto parsed = base::parse_json(file->text);
    if (!parsed) {
        return mistake(name, "-", parsed.error().message);
    }
    const auto* rows = parsed->if_array();
    if (rows == nullptr || rows->empty()) {
        return mistake(name, "-", "it must be an array with at least one entry");
    }
    for (std::size_t i = 0; i < rows->size(); ++i) {
        auto row = base::decode<T>((*rows)[i], base::unknown_fields::refused);
        if (!row) {
            return mistake(name, std::to_string(i), row.error().message);
        }
        into.push_back(std::move(*row));
    }
}

template <typename T, typename Id>
void catalog_loader::index(std::string_view file, const std::vector<T>& rows, Id id,
                           catalog::index& into) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::string& key = rows[i].*id;
        if (!is_id(key)) {
            mistake(file, key, "an id has 1 to 100 characters of a-z, 0-9 and _");
        } else if (!into.emplace(key, i).second) {
            mistake(file, key, "the id stands twice");
        }
        if (rows[i].name.zh.empty() || rows[i].name.en.empty()) {
            mistake(file, key, "the name needs zh and en");
        }
    }
}

void catalog_loader::check_realm_name(std::string_view file, std::string_view entry,
                                      const std::optional<std::string>& name) {
    if (name && out_.realm_index(*name) == catalog::npos) {
        mistake(file, entry, fmt::format("there is no realm \"{}\"", *name));
    }
}

void catalog_loader::check_realms() {
    constexpr std::string_view file = "realms.json";
    std::int32_t next_level = 1;
    std::set<std::string> names;
    std::int64_t total = 0;
    for (std::size_t i = 0; i < out_.realms_.size(); ++i) {
        const realm& r = out_.realms_[i];
        const bool last = i + 1 == out_.realms_.size();
        if (!names.insert(r.name.zh).second || r.name.zh.empty() || r.name.en.empty()) {
            mistake(file, r.realm_id, "the name needs zh and en, unlike every other realm's");
        }
        if (r.first_level != next_level || r.last_level < r.first_level || r.last_level > 1000) {
            return mistake(
                file, r.realm_id,
                fmt::format("its levels must begin at {} and end at most at 1000", next_level));
        }
        check_positive(file, r.realm_id, "experienceFactor", r.experience_factor, 1);
        if (last != !r.breakthrough) {
            mistake(file, r.realm_id, "every realm but the last needs \"breakthrough\"");
        }
        if (r.breakthrough) {
            const auto chance = r.breakthrough->chance_percent;
            if (chance < 1 || chance > 100) {
                mistake(file, r.realm_id, "breakthrough.chancePercent must be from 1 to 100");
            }
            check_positive(file, r.realm_id, "breakthrough.spiritStonesReward",
                           r.breakthrough->spirit_stones_reward, 0);
        }
        for (std::int32_t level = r.first_level; level <= r.last_level; ++level) {
            out_.experience_at_.push_back(total);
            total = add_capped(total, level_cost(level, r.experience_factor));
        }
        next_level = r.last_level + 1;
    }
}

void catalog_loader::check_techniques() {
    constexpr std::string_view file = "techniques.json";
    for (const technique& t : out_.techniques_) {
        check_positive(file, t.technique_id, "levelRequirement", t.level_requirement, 1);
        check_positive(file, t.technique_id, "cultivationTimeHours", t.cultivation_time_hours, 1);
        check_positive(file, t.technique_id, "energyCost", t.energy_cost, 0);
        check_positive(file, t.technique_id, "experienceGain", t.experience_gain,
                       t.technique_type == technique_type::cultivation ? 1 : 0);
        check_positive(file, t.technique_id, "energyCostCombat", t.energy_cost_combat, 0);
        check_positive(file, t.technique_id, "cooldownSeconds", t.cooldown_seconds, 0);
        if (!(t.damage_multiplier >= 0 && t.damage_multiplier < 10)) {
            mistake(file, t.technique_id, "damageMultiplier must be from 0 to 9.99");
        }
        check_realm_name(file, t.technique_id, t.realm_requirement);
        for (const std::string& other : t.prerequisite_techniques) {
            if (other == t.technique_id || out_.find_technique(other) == nullptr) {
                mistake(file, t.technique_id,
                        fmt::format("prerequisite \"{}\" is not there", other));
            }
        }
        if (t.obtainable_from.empty()) {
            mistake(file, t.technique_id, "obtainableFrom is empty");
        }
    }
}

void catalog_loader::check_locations() {
    constexpr std::string_view file = "locations.json";
    for (const location& l : out_.locations_) {
        check_positive(file, l.location_id, "cultivationBonusPercent", l.cultivation_bonus_percent,
                       1);
        check_positive(file, l.location_id, "levelRequirement", l.level_requirement, 1);
    }
    if (out_.find_location(rules{}.initial_location) == nullptr) {
        mistake(file, rules{}.initial_location, "new players begin there; it is missing");
    }
}

void catalog_loader::check_items() {
    constexpr std::string_view file = "items.json";
    for (const item& i : out_.items_) {
        check_positive(file, i.item_id, "levelRequirement", i.level_requirement, 1);
        check_positive(file, i.item_id, "basePrice", i.base_price, 0);
        check_positive(file, i.item_id, "maxStackSize", i.max_stack_size, 1);
        check_realm_name(file, i.item_id, i.realm_requirement);
        if (const auto* learnt = i.effects.if_contains("techniqueId");
            learnt != nullptr &&
            (!learnt->is_string() || out_.find_technique(learnt->get_string()) == nullptr)) {
            mistake(file, i.item_id, "effects.techniqueId names no technique");
        }
    }
}

void catalog_loader::check_monsters() {
    constexpr std::string_view file = "monsters.json";
    for (const monster& m : out_.monsters_) {
        check_realm_name(file, m.monster_id, m.realm);
        check_positive(file, m.monster_id, "level", m.level, 1);
        check_positive(file, m.monster_id, "experienceReward", m.experience_reward, 0);
        check_positive(file, m.monster_id, "goldReward", m.gold_reward, 0);
        if (out_.find_location(m.location) == nullptr) {
            mistake(file, m.monster_id, fmt::format("there is no location \"{}\"", m.location));
        }
        for (const std::string& drop : m.drops) {
            if (out_.find_item(drop) == nullptr) {
                mistake(file, m.monster_id, fmt::format("there is no item \"{}\"", drop));
            }
        }
    }
}

base::result<catalog> catalog_loader::load(std::span<const base::embedded_file> files) {
    read(files, "realms.json", out_.realms_);
    read(files, "techniques.json", out_.techniques_);
    read(files, "locations.json", out_.locations_);
    read(files, "items.json", out_.items_);
    read(files, "monsters.json", out_.monsters_);
    read(files, "insights.json", out_.insights_);
    if (!problem_) {
        index("techniques.json", out_.techniques_, &technique::technique_id, out_.technique_index_);
        index("locations.json", out_.locations_, &location::location_id, out_.location_index_);
        index("items.json", out_.items_, &item::item_id, out_.item_index_);
        index("monsters.json", out_.monsters_, &monster::monster_id, out_.monster_index_);
        check_realms();
        check_techniques();
        check_locations();
        check_items();
        check_monsters();
    }
    if (problem_) {
        return base::fail(std::move(*problem_));
    }
    std::vector<base::embedded_file> ordered(files.begin(), files.end());
    std::sort(ordered.begin(), ordered.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    base::blake2b_hasher hasher;
    for (const auto& file : ordered) {
        hasher.update(fmt::format("{} {}\n", file.name, file.text.size()));
        hasher.update(file.text);
    }
    const base::digest256 digest = hasher.finish();
    out_.version_ = base::hex(std::span(digest).first(16));
    return std::move(out_);
}

base::result<catalog> catalog::load(std::span<const base::embedded_file> files) {
    return catalog_loader{}.load(files);
}

const catalog& catalog::builtin() {
    static const catalog loaded = [] {
        auto out = load(embedded_catalog());
        IMMORTAL_ASSERT(out.has_value()); // a test loads it and shows the message
        return std::move(*out);
    }();
    return loaded;
}

namespace {

template <typename T, typename Index>
const T* find_in(const std::vector<T>& rows, const Index& index, std::string_view id) {
    const auto found = index.find(id);
    return found == index.end() ? nullptr : &rows[found->second];
}

} // namespace

const technique* catalog::find_technique(std::string_view id) const {
    return find_in(techniques_, technique_index_, id);
}

const location* catalog::find_location(std::string_view id) const {
    return find_in(locations_, location_index_, id);
}

const item* catalog::find_item(std::string_view id) const {
    return find_in(items_, item_index_, id);
}

const monster* catalog::find_monster(std::string_view id) const {
    return find_in(monsters_, monster_index_, id);
}

std::size_t catalog::realm_index(std::string_view name_zh) const {
    const auto found = std::find_if(realms_.begin(), realms_.end(),
                                    [&](const realm& r) { return r.name.zh == name_zh; });
    return found == realms_.end() ? npos : static_cast<std::size_t>(found - realms_.begin());
}

const realm* catalog::find_realm(std::string_view name_zh) const {
    const std::size_t at = realm_index(name_zh);
    return at == npos ? nullptr : &realms_[at];
}

std::int64_t catalog::experience_at(std::int32_t level) const {
    IMMORTAL_ASSERT(level >= 1 && level <= level_max());
    return experience_at_[static_cast<std::size_t>(level) - 1];
}

} // namespace immortal::game
