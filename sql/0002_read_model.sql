-- The read model: rows derived from the event log. Nothing here has a default that is random or the current time:
-- ids and times come from the events, so a rebuild gives the same rows. No foreign keys between derived tables
-- and none to users: each is filled independently, and the consistency check proves what a key would have promised.

CREATE TABLE players (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL,
    name VARCHAR(50) NOT NULL,
    level INTEGER NOT NULL DEFAULT 1 CHECK (level > 0),
    realm VARCHAR(50) NOT NULL DEFAULT '练气期',
    experience BIGINT NOT NULL DEFAULT 0 CHECK (experience >= 0),
    energy INTEGER NOT NULL DEFAULT 100 CONSTRAINT players_energy_positive CHECK (energy >= 0),
    max_energy INTEGER NOT NULL DEFAULT 100 CHECK (max_energy > 0),
    status VARCHAR(20) NOT NULL DEFAULT 'idle'
        CHECK (status IN ('idle', 'cultivating', 'combat', 'trading', 'offline')),

    strength INTEGER NOT NULL DEFAULT 10 CHECK (strength > 0),
    agility INTEGER NOT NULL DEFAULT 10 CHECK (agility > 0),
    intelligence INTEGER NOT NULL DEFAULT 10 CHECK (intelligence > 0),
    constitution INTEGER NOT NULL DEFAULT 10 CHECK (constitution > 0),

    gold BIGINT NOT NULL DEFAULT 1000 CHECK (gold >= 0),
    spirit_stones BIGINT NOT NULL DEFAULT 0 CHECK (spirit_stones >= 0),

    current_location VARCHAR(100) NOT NULL DEFAULT 'newbie_village',
    coordinates POINT,
    cultivation_session UUID,

    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    last_active_at TIMESTAMPTZ NOT NULL,

    -- When the present level and wealth were reached: ties on a leaderboard go to the earlier one.
    level_position BIGINT NOT NULL,
    wealth BIGINT NOT NULL,
    wealth_position BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    position BIGINT NOT NULL,

    CONSTRAINT players_energy_check CHECK (energy <= max_energy)
) WITH (fillfactor = 80);

-- Names are unique by their reservation streams; two projecting processes may for a moment see a released and a
-- newly given name together, so the table does not insist.
CREATE INDEX idx_players_user_id ON players (user_id);
CREATE INDEX idx_players_name ON players (name);
CREATE INDEX idx_players_level ON players (level DESC, level_position, id);
CREATE INDEX idx_players_wealth ON players (wealth DESC, wealth_position, id);
CREATE INDEX idx_players_realm ON players (realm);
CREATE INDEX idx_players_status ON players (status);
CREATE INDEX idx_players_location ON players (current_location);
CREATE INDEX idx_players_coordinates ON players USING GIST (coordinates) WHERE coordinates IS NOT NULL;
CREATE INDEX idx_players_active_high_level ON players (level DESC) WHERE status <> 'offline' AND level >= 50;
CREATE INDEX idx_players_experience_rank ON players (experience) WHERE experience > 0;

CREATE TABLE cultivation_records (
    id UUID NOT NULL,
    session_id VARCHAR(100) NOT NULL GENERATED ALWAYS AS (id::TEXT) STORED,
    player_id UUID NOT NULL,
    technique_id VARCHAR(100) NOT NULL,
    technique_name VARCHAR(100) NOT NULL,

    start_time TIMESTAMPTZ NOT NULL,
    end_time TIMESTAMPTZ,
    duration_seconds BIGINT CHECK (duration_seconds >= 0),
    progress DECIMAL(5,4) NOT NULL DEFAULT 0 CHECK (progress >= 0 AND progress <= 1),

    experience_gained BIGINT NOT NULL DEFAULT 0 CHECK (experience_gained >= 0),
    energy_consumed BIGINT NOT NULL DEFAULT 0 CHECK (energy_consumed >= 0),
    breakthrough_achieved BOOLEAN NOT NULL DEFAULT false,
    insights_gained TEXT[] NOT NULL DEFAULT '{}',

    status VARCHAR(20) NOT NULL DEFAULT 'active'
        CHECK (status IN ('active', 'completed', 'interrupted', 'failed')),
    end_reason VARCHAR(50),

    location VARCHAR(100),
    weather_bonus DECIMAL(3,2) NOT NULL DEFAULT 1.0,
    time_bonus DECIMAL(3,2) NOT NULL DEFAULT 1.0,

    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    revision BIGINT NOT NULL,
    position BIGINT NOT NULL,

    PRIMARY KEY (id, start_time)
) PARTITION BY RANGE (start_time);

CREATE INDEX idx_cultivation_records_player_time ON cultivation_records (player_id, start_time DESC);
CREATE INDEX idx_cultivation_records_technique_id ON cultivation_records (technique_id);
CREATE INDEX idx_cultivation_records_start_time ON cultivation_records (start_time);
CREATE INDEX idx_cultivation_records_status ON cultivation_records (status);
CREATE INDEX idx_cultivation_active_sessions ON cultivation_records (player_id, start_time) WHERE status = 'active';

CREATE TABLE cultivation_records_default PARTITION OF cultivation_records DEFAULT;

-- Makes the partition of the UTC month that holds `start_date`, if it is missing; any day of the month will do. False:
-- it was there, or rows of that month stand in the default partition (which then must be emptied first).
CREATE FUNCTION create_monthly_partition(table_name TEXT, start_date DATE) RETURNS BOOLEAN
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    month_begin TIMESTAMPTZ := date_trunc('month', start_date::TIMESTAMP) AT TIME ZONE 'UTC';
    month_end TIMESTAMPTZ := (date_trunc('month', start_date::TIMESTAMP) + INTERVAL '1 month') AT TIME ZONE 'UTC';
    partition_name TEXT := table_name || '_' || to_char(date_trunc('month', start_date::TIMESTAMP), 'YYYY_MM');
    stray BOOLEAN;
BEGIN
    IF to_regclass(quote_ident(partition_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('create_monthly_partition'));
    IF to_regclass(quote_ident(partition_name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE start_time >= %L AND start_time < %L)',
                   table_name || '_default', month_begin, month_end) INTO stray;
    IF stray THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                   partition_name, table_name, month_begin, month_end);
    RETURN true;
END;
$$;

-- The month of `start_date` and the `months_ahead` after it.
CREATE FUNCTION create_partitions_ahead(table_name TEXT, start_date DATE, months_ahead INTEGER) RETURNS INTEGER
LANGUAGE plpgsql AS $$
DECLARE
    made INTEGER := 0;
BEGIN
    FOR month_number IN 0..months_ahead LOOP
        IF create_monthly_partition(table_name, (date_trunc('month', start_date::TIMESTAMP)
                                                 + month_number * INTERVAL '1 month')::DATE) THEN
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END;
$$;

SELECT create_partitions_ahead('cultivation_records', (now() AT TIME ZONE 'UTC')::DATE, 4);

-- Reference data, filled from the catalogue's files at start.
CREATE TABLE techniques (
    id UUID PRIMARY KEY,
    technique_id VARCHAR(100) NOT NULL UNIQUE,
    name VARCHAR(100) NOT NULL,
    description TEXT,
    technique_type VARCHAR(50) NOT NULL
        CHECK (technique_type IN ('cultivation', 'combat', 'movement', 'utility', 'passive')),

    level_requirement INTEGER NOT NULL DEFAULT 1,
    realm_requirement VARCHAR(50),
    prerequisite_techniques JSONB NOT NULL DEFAULT '[]',

    cultivation_time_hours DOUBLE PRECISION NOT NULL DEFAULT 1,
    energy_cost INTEGER NOT NULL DEFAULT 10,
    experience_gain BIGINT NOT NULL DEFAULT 100,

    damage_multiplier DECIMAL(5,2) NOT NULL DEFAULT 1.0,
    energy_cost_combat INTEGER NOT NULL DEFAULT 5,
    cooldown_seconds INTEGER NOT NULL DEFAULT 0,

    effects JSONB NOT NULL DEFAULT '{}',
    passive_bonuses JSONB NOT NULL DEFAULT '{}',

    obtainable_from JSONB NOT NULL DEFAULT '[]',
    rarity VARCHAR(20) NOT NULL DEFAULT 'common',

    created_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ
);

CREATE INDEX idx_techniques_type ON techniques (technique_type);
CREATE INDEX idx_techniques_level_req ON techniques (level_requirement);
CREATE INDEX idx_techniques_rarity ON techniques (rarity);

CREATE TABLE player_techniques (
    id UUID PRIMARY KEY,
    player_id UUID NOT NULL,
    technique_id VARCHAR(100) NOT NULL,

    proficiency_level INTEGER NOT NULL DEFAULT 1 CHECK (proficiency_level > 0),
    proficiency_experience BIGINT NOT NULL DEFAULT 0 CHECK (proficiency_experience >= 0),
    max_proficiency_level INTEGER NOT NULL DEFAULT 10,

    learned_at TIMESTAMPTZ NOT NULL,
    learned_from VARCHAR(50),

    times_used BIGINT NOT NULL DEFAULT 0,
    last_used_at TIMESTAMPTZ,
    position BIGINT NOT NULL,

    CONSTRAINT player_techniques_unique UNIQUE (player_id, technique_id)
) WITH (fillfactor = 80);

CREATE INDEX idx_player_techniques_technique_id ON player_techniques (technique_id);
CREATE INDEX idx_player_techniques_proficiency ON player_techniques (proficiency_level);

-- Kept up to date by the projector, by increments in the rows' own transaction: the views below read one row a player
-- where the original aggregated whole tables.
CREATE TABLE player_statistics_totals (
    player_id UUID PRIMARY KEY,

    total_cultivation_sessions BIGINT NOT NULL DEFAULT 0,
    total_cultivation_seconds BIGINT NOT NULL DEFAULT 0,
    total_experience_from_cultivation BIGINT NOT NULL DEFAULT 0,
    breakthroughs_achieved BIGINT NOT NULL DEFAULT 0,

    total_combats BIGINT NOT NULL DEFAULT 0,
    combat_wins BIGINT NOT NULL DEFAULT 0,
    combat_losses BIGINT NOT NULL DEFAULT 0,
    total_experience_from_combat BIGINT NOT NULL DEFAULT 0,

    total_items BIGINT NOT NULL DEFAULT 0,
    equipped_items BIGINT NOT NULL DEFAULT 0,
    legendary_items BIGINT NOT NULL DEFAULT 0,

    total_techniques BIGINT NOT NULL DEFAULT 0,
    master_level_techniques BIGINT NOT NULL DEFAULT 0,

    -- Of the event that made the present total_experience_from_cultivation.
    cultivation_position BIGINT NOT NULL DEFAULT 0,
    position BIGINT NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX idx_statistics_cultivation ON player_statistics_totals
    (total_experience_from_cultivation DESC, cultivation_position, player_id)
    WHERE total_experience_from_cultivation > 0;

CREATE VIEW player_statistics AS
SELECT
    p.id,
    p.name,
    p.level,
    p.realm,
    p.experience,
    p.gold,
    p.spirit_stones,

    COALESCE(t.total_cultivation_sessions, 0) AS total_cultivation_sessions,
    COALESCE(t.total_cultivation_seconds, 0) / 3600.0 AS total_cultivation_time_hours,
    COALESCE(t.total_experience_from_cultivation, 0) AS total_experience_from_cultivation,
    COALESCE(t.breakthroughs_achieved, 0) AS breakthroughs_achieved,

    COALESCE(t.total_combats, 0) AS total_combats,
    COALESCE(t.combat_wins, 0) AS combat_wins,
    COALESCE(t.combat_losses, 0) AS combat_losses,
    CASE WHEN t.total_combats > 0 THEN t.combat_wins::DECIMAL / t.total_combats ELSE 0 END AS combat_win_rate,
    COALESCE(t.total_experience_from_combat, 0) AS total_experience_from_combat,

    COALESCE(t.total_items, 0) AS total_items,
    COALESCE(t.equipped_items, 0) AS equipped_items,
    COALESCE(t.legendary_items, 0) AS legendary_items,

    COALESCE(t.total_techniques, 0) AS total_techniques,
    COALESCE(t.master_level_techniques, 0) AS master_level_techniques,

    p.created_at,
    p.last_active_at
FROM players p
LEFT JOIN player_statistics_totals t ON t.player_id = p.id;

CREATE VIEW cultivation_leaderboard AS
SELECT
    ROW_NUMBER() OVER (ORDER BY t.total_experience_from_cultivation DESC, t.cultivation_position, p.id) AS rank,
    p.id,
    p.name,
    p.level,
    p.realm,
    t.total_cultivation_sessions,
    t.total_cultivation_seconds / 3600.0 AS total_cultivation_time_hours,
    t.total_experience_from_cultivation,
    t.breakthroughs_achieved,
    t.total_cultivation_seconds::DECIMAL / t.total_cultivation_sessions / 3600.0 AS avg_session_duration,
    CASE
        WHEN t.total_cultivation_seconds > 0
        THEN t.total_experience_from_cultivation::DECIMAL / (t.total_cultivation_seconds / 3600.0)
        ELSE 0
    END AS cultivation_efficiency
FROM players p
JOIN player_statistics_totals t ON t.player_id = p.id
WHERE t.total_experience_from_cultivation > 0
ORDER BY t.total_experience_from_cultivation DESC, t.cultivation_position, p.id;

-- How far each partition of owners has come, and who may write it. position NULL: nothing yet.
CREATE TABLE projection_checkpoints (
    partition SMALLINT PRIMARY KEY CHECK (partition >= 0 AND partition < 16),
    log_id UUID,
    log_epoch INTEGER,
    position BIGINT,
    lease_owner TEXT,
    lease_epoch BIGINT NOT NULL DEFAULT 0,
    lease_until TIMESTAMPTZ
) WITH (fillfactor = 20);

INSERT INTO projection_checkpoints (partition) SELECT generate_series(0, 15);

-- The fence: moves the checkpoints of the caller's leases, each only from the position and lease epoch that the caller
-- knows, and prolongs the leases. p_to NULL: prolongs only. IM001: a lease was lost, or the position is another; then the
-- whole transaction has no effect.
CREATE FUNCTION advance_checkpoints(p_partitions SMALLINT[], p_lease_epochs BIGINT[], p_from BIGINT[], p_to BIGINT,
                                    p_lease_ms BIGINT) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    moved INTEGER;
BEGIN
    UPDATE projection_checkpoints c
    SET position = GREATEST(c.position, p_to),
        lease_until = clock_timestamp() + p_lease_ms * INTERVAL '1 millisecond'
    FROM unnest(p_partitions, p_lease_epochs, p_from) AS known (partition, lease_epoch, position)
    WHERE c.partition = known.partition
      AND c.lease_epoch = known.lease_epoch
      AND c.position IS NOT DISTINCT FROM known.position;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(p_partitions) THEN
        RAISE EXCEPTION 'the lease of % of % partitions was lost', cardinality(p_partitions) - moved,
            cardinality(p_partitions) USING ERRCODE = 'IM001';
    END IF;
END;
$$;

-- Owners that wait because one of their events could not be projected; see readmodel/dead_letters.hpp. Skipped ones stay:
-- a rebuild leaves the same events out.
CREATE TABLE dead_letters (
    owner UUID NOT NULL,
    partition SMALLINT NOT NULL,
    position BIGINT NOT NULL,
    event_id UUID NOT NULL,
    event_type TEXT NOT NULL,
    stream TEXT NOT NULL,
    error TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'parked' CHECK (state IN ('parked', 'retry', 'skip', 'skipped')),
    parked_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, position)
);

CREATE INDEX idx_dead_letters_waiting ON dead_letters (partition) WHERE state <> 'skipped';
