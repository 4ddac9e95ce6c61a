-- Accounts: primary data, not derived from the event log, so a rebuild leaves these tables alone.

CREATE TABLE users (
    id UUID PRIMARY KEY,
    username VARCHAR(50) NOT NULL,
    email VARCHAR(255) NOT NULL,
    password_hash VARCHAR(255) NOT NULL, -- argon2id, PHC text; '!' after erasure
    role VARCHAR(20) NOT NULL DEFAULT 'player'
        CONSTRAINT users_role_check CHECK (role IN ('player', 'gm', 'admin')),
    is_active BOOLEAN NOT NULL DEFAULT true,
    -- A session counts while its epoch is its user's: raising this ends all sessions.
    session_epoch INTEGER NOT NULL DEFAULT 1,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    last_login_at TIMESTAMPTZ,

    CONSTRAINT users_username_check CHECK (length(username) >= 3),
    CONSTRAINT users_email_check CHECK (email ~* '^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$')
);

-- "Li@x.org" and "li@x.org" are one person.
CREATE UNIQUE INDEX users_username_key ON users (lower(username));
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
CREATE INDEX idx_users_active ON users (is_active) WHERE is_active;

CREATE TABLE sessions (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash CHAR(64) NOT NULL CONSTRAINT sessions_token_hash_key UNIQUE, -- SHA-256 of the token, hexadecimal
    epoch INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL, -- within a minute
    expires_at TIMESTAMPTZ NOT NULL,   -- the absolute limit; the idle limit counts from last_seen_at

    CONSTRAINT sessions_expires_check CHECK (expires_at > created_at)
);

CREATE INDEX idx_sessions_user_id ON sessions (user_id, created_at);
CREATE INDEX idx_sessions_expires_at ON sessions (expires_at);

-- Idempotency keys of the account routes.
CREATE TABLE account_requests (
    scope VARCHAR(100) NOT NULL, -- whose key: 'register:<name>' or 'user:<id>'
    key VARCHAR(255) NOT NULL,
    request_hash CHAR(64) NOT NULL, -- without passwords: a fast hash of one would give it away
    response JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,

    PRIMARY KEY (scope, key)
);

CREATE INDEX idx_account_requests_created_at ON account_requests (created_at);
