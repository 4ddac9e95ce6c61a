#include "readmodel/techniques.hpp"

#include "base/json.hpp"
#include "game/catalog.hpp"

#include <string>
#include <utility>
#include <vector>

namespace immortal::readmodel {

awaitable<base::status> write_techniques(postgres::database& database,
                                         const game::catalog& catalog) {
    base::json::array all;
    std::vector<std::string> ids;
    for (const game::technique& one : catalog.techniques()) {
        base::json::object row = base::encode(one).get_object();
        row["id"] = base::uuid::make_derived("technique", one.technique_id).text();
        all.push_back(std::move(row));
        ids.push_back(one.technique_id);
    }
    postgres::query write{
        "INSERT INTO techniques AS t (id, technique_id, name, description, technique_type, "
        "level_requirement, realm_requirement, prerequisite_techniques, cultivation_time_hours, "
        "energy_cost, experience_gain, damage_multiplier, energy_cost_combat, cooldown_seconds, "
        "effects, passive_bonuses, obtainable_from, rarity) "
        "SELECT (j->>'id')::uuid, j->>'techniqueId', j->'name'->>'zh', j->'description'->>'zh', "
        "j->>'techniqueType', (j->>'levelRequirement')::integer, j->>'realmRequirement', "
        "COALESCE(j->'prerequisiteTechniques', '[]'), "
        "(j->>'cultivationTimeHours')::double precision, (j->>'energyCost')::integer, "
        "(j->>'experienceGain')::bigint, (j->>'damageMultiplier')::numeric, "
        "(j->>'energyCostCombat')::integer, (j->>'cooldownSeconds')::integer, "
        "COALESCE(j->'effects', '{}'), COALESCE(j->'passiveBonuses', '{}'), "
        "COALESCE(j->'obtainableFrom', '[]'), j->>'rarity' FROM jsonb_array_elements($1::jsonb) j "
        "ON CONFLICT (technique_id) DO UPDATE SET name = EXCLUDED.name, "
        "description = EXCLUDED.description, technique_type = EXCLUDED.technique_type, "
        "level_requirement = EXCLUDED.level_requirement, "
        "realm_requirement = EXCLUDED.realm_requirement, "
        "prerequisite_techniques = EXCLUDED.prerequisite_techniques, "
        "cultivation_time_hours = EXCLUDED.cultivation_time_hours, "
        "energy_cost = EXCLUDED.energy_cost, experience_gain = EXCLUDED.experience_gain, "
        "damage_multiplier = EXCLUDED.damage_multiplier, "
        "energy_cost_combat = EXCLUDED.energy_cost_combat, "
        "cooldown_seconds = EXCLUDED.cooldown_seconds, effects = EXCLUDED.effects, "
        "passive_bonuses = EXCLUDED.passive_bonuses, "
        "obtainable_from = EXCLUDED.obtainable_from, rarity = EXCLUDED.rarity "
        "WHERE to_jsonb(t) - 'created_at' - 'updated_at' IS DISTINCT FROM "
        "to_jsonb(EXCLUDED) - 'created_at' - 'updated_at'"};
    write.values.add(base::json::serialize(all));
    postgres::query remove{"DELETE FROM techniques WHERE technique_id <> ALL($1::text[])"};
    remove.values.add_array(ids);
    std::vector<postgres::query> both;
    both.push_back(std::move(write));
    both.push_back(std::move(remove));
    const auto done = co_await database.run_all(std::move(both));
    co_return done ? base::status{} : base::status(base::fail(done.error()));
}

} // namespace immortal::readmodel
