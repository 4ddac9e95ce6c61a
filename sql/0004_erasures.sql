-- An account is erased in two steps: the row loses its personal data and is marked, at once; then its players are
-- erased in the background, which may take several tries.
ALTER TABLE users
    ADD COLUMN erasure_requested_at TIMESTAMPTZ,
    ADD COLUMN erasure_finished_at TIMESTAMPTZ;

CREATE INDEX idx_users_erasing ON users (erasure_requested_at)
    WHERE erasure_requested_at IS NOT NULL AND erasure_finished_at IS NULL;

-- Accounts that were erased when their players were not.
UPDATE users SET erasure_requested_at = updated_at WHERE NOT is_active AND password_hash = '!';
