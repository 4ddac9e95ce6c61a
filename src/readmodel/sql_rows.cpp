#include "readmodel/sql_rows.hpp"

#include <stdexcept>

namespace immortal::readmodel {

namespace {

// Reads one column after the other.
class column_reader {
public:
    column_reader(const postgres::rows& rows, std::size_t row, std::size_t first)
        : rows_(rows), row_(row), column_(first) {}

    template <typename T>
    column_reader& to(T& out) {
        out = rows_.get<T>(row_, column_++);
        return *this;
    }
    template <typename T>
    T next() {
        return rows_.get<T>(row_, column_++);
    }
    std::string_view text() { return rows_.text(row_, column_++); }

private:
    const postgres::rows& rows_;
    std::size_t row_;
    std::size_t column_;
};

constexpr std::size_t player_columns = 24; // of IMMORTAL_PLAYER_COLUMNS

base::revision to_revision(std::int64_t number) {
    return {static_cast<std::uint64_t>(number)};
}

std::vector<std::string> read_texts(std::string_view text) {
    auto parsed = base::parse_json(text);
    auto list = parsed ? base::decode<std::vector<std::string>>(*parsed)
                       : base::result<std::vector<std::string>>(base::fail(parsed.error()));
    if (!list) {
        throw std::runtime_error("a list of texts is malformed");
    }
    return std::move(*list);
}

} // namespace

player_view read_player(const postgres::rows& rows, std::size_t row, std::size_t first) {
    column_reader in(rows, row, first);
    player_view p;
    in.to(p.id).to(p.user_id).to(p.name).to(p.level).to(p.realm).to(p.experience);
    in.to(p.energy).to(p.max_energy).to(p.status).to(p.strength).to(p.agility);
    in.to(p.intelligence).to(p.constitution).to(p.gold).to(p.spirit_stones);
    in.to(p.current_location);
    const auto x = in.next<std::optional<double>>();
    const auto y = in.next<std::optional<double>>();
    if (x && y) {
        p.coordinates = coordinates_view{*x, *y};
    }
    in.to(p.cultivation_session).to(p.created_at).to(p.updated_at).to(p.last_active_at);
    p.revision = to_revision(in.next<std::int64_t>());
    in.to(p.position);
    return p;
}

cultivation_view read_cultivation(const postgres::rows& rows, std::size_t row, std::size_t first) {
    column_reader in(rows, row, first);
    cultivation_view r;
    in.to(r.session_id).to(r.player_id).to(r.technique_id).to(r.technique_name);
    in.to(r.start_time).to(r.end_time).to(r.duration_seconds).to(r.progress);
    in.to(r.experience_gained).to(r.energy_consumed).to(r.breakthrough_achieved);
    r.insights_gained = read_texts(in.text());
    in.to(r.status).to(r.end_reason).to(r.location).to(r.weather_bonus).to(r.time_bonus);
    in.to(r.created_at).to(r.updated_at);
    r.revision = to_revision(in.next<std::int64_t>());
    in.to(r.position);
    return r;
}

statistics_totals read_totals(const base::uuid& player, const postgres::rows& rows, std::size_t row,
                              std::size_t first) {
    statistics_totals t;
    t.player_id = player;
    if (rows.is_null(row, first)) {
        return t;
    }
    column_reader in(rows, row, first);
    in.to(t.cultivation_sessions).to(t.cultivation_seconds).to(t.experience_from_cultivation);
    in.to(t.breakthroughs).to(t.combats).to(t.combat_wins).to(t.combat_losses);
    in.to(t.experience_from_combat).to(t.items).to(t.equipped_items).to(t.legendary_items);
    in.to(t.techniques).to(t.master_techniques).to(t.cultivation_position).to(t.position);
    return t;
}

statistics_view read_statistics(const postgres::rows& rows, std::size_t row, std::size_t first) {
    const player_view player = read_player(rows, row, first);
    return make_statistics(player, read_totals(player.id, rows, row, first + player_columns));
}

technique_view read_technique(const postgres::rows& rows, std::size_t row, std::size_t first) {
    column_reader in(rows, row, first);
    technique_view k;
    in.to(k.technique_id).to(k.technique_name).to(k.proficiency_level);
    in.to(k.proficiency_experience).to(k.max_proficiency_level).to(k.learned_at);
    in.to(k.learned_from).to(k.times_used).to(k.last_used_at).to(k.position);
    return k;
}

} // namespace immortal::readmodel
