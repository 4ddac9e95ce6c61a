-- What must happen at a time though nobody asks for it: derived from the events like any other row, so it survives
-- restarts and is made again by a rebuild. A poller gives the command `deadline:<thing>:<revision>`; its events
-- take the row away.
CREATE TABLE due_commands (
    thing TEXT PRIMARY KEY,        -- the stream that the deadline is for
    revision BIGINT NOT NULL,      -- of the event in it that set the deadline
    owner UUID NOT NULL,           -- of the row: the player
    command TEXT NOT NULL,         -- what is due: complete_unattended
    due_at TIMESTAMPTZ NOT NULL,   -- real time
    position BIGINT NOT NULL       -- of the event that set it
) WITH (fillfactor = 80);

CREATE INDEX idx_due_commands_due_at ON due_commands (due_at, thing);
CREATE INDEX idx_due_commands_owner ON due_commands (owner);

-- The deadlines of sessions that are running already stand in the log: the derived tables are made again from it.
UPDATE projection_checkpoints SET position = NULL, lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_until = NULL;
TRUNCATE players, player_techniques, cultivation_records, player_statistics_totals;
DELETE FROM dead_letters WHERE state NOT IN ('skip', 'skipped');
UPDATE dead_letters SET state = 'skipped';

-- Jobs that one process at a time does. The epoch rises with every change of hands.
CREATE TABLE job_leases (
    job TEXT PRIMARY KEY,
    lease_owner TEXT NOT NULL,
    lease_epoch BIGINT NOT NULL,
    lease_until TIMESTAMPTZ NOT NULL
);
