-- Accounts, sessions, tokens, the outbox of notifications, the revocation feed and the audit trail.
-- Times are microseconds since 1970. Tokens are stored as SHA-256 of their text, never as themselves.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    -- Normalised: trimmed, lower case.
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    -- Space-separated.
    roles TEXT NOT NULL,
    -- Of no use until the address is confirmed: then it is the confirming registration's.
    password_hash TEXT NOT NULL,
    -- Registrations of the address before it was confirmed. They are forgotten in time, their number is not.
    claims BIGINT NOT NULL,
    email_verified_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX users_unconfirmed ON users (updated_at) WHERE email_verified_at IS NULL;

-- One attempt to register. A link confirms an address together with the password of the attempt that asked for it, so
-- that nobody can plant a password under somebody else's address and wait for them to confirm it.
CREATE TABLE registrations (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX registrations_user ON registrations (user_id);
CREATE INDEX registrations_created ON registrations (created_at);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    -- However often it is refreshed.
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    address TEXT NOT NULL,
    -- What the client owns: its address, or the /64 of an IPv6 one.
    network TEXT NOT NULL,
    user_agent TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, revoked_at);
CREATE INDEX sessions_network ON sessions (user_id, network);
CREATE INDEX sessions_expiry ON sessions (expires_at);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- The refresh tokens of a session are one family; each but the newest has been rotated. Rotated ones stay for a while, so
-- that a replay is recognised.
CREATE TABLE refresh_tokens (
    token_hash BYTEA PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    rotated_at BIGINT,
    -- The next token, sealed under a key that only the holder of this one can derive; erased when the grace is over.
    sealed_successor BYTEA
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_rotated ON refresh_tokens (rotated_at) WHERE rotated_at IS NOT NULL;
CREATE INDEX refresh_tokens_grace ON refresh_tokens (rotated_at) WHERE sealed_successor IS NOT NULL;

-- Guesses of a password without a right one between them; see GuessLane.
CREATE TABLE guesses (
    -- The account's id, or a digest of an address that nobody has.
    subject TEXT NOT NULL,
    lane TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    in_a_row BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (subject, lane)
);
CREATE INDEX guesses_user ON guesses (user_id);
CREATE INDEX guesses_unknown ON guesses (last_at) WHERE user_id IS NULL;

-- Single-use tokens of links in mail. Used by being deleted.
CREATE TABLE link_tokens (
    token_hash BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    notification_id TEXT NOT NULL,
    registration_id TEXT REFERENCES registrations (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX link_tokens_user ON link_tokens (user_id, purpose);
CREATE INDEX link_tokens_registration ON link_tokens (registration_id);
CREATE INDEX link_tokens_expiry ON link_tokens (expires_at);

-- Mail to ask Email for: written with the change it tells of, relayed after the commit. Holds no secret; tokens are
-- made when a notification is relayed. Without a user it is there only so that unknown addresses cost the same.
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    registration_id TEXT REFERENCES registrations (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL
);
CREATE INDEX notifications_due ON notifications (next_attempt_at);
CREATE INDEX notifications_user ON notifications (user_id);
CREATE INDEX notifications_registration ON notifications (registration_id);

-- What a user has signed in with lately, as SHA-256 of the user agent.
CREATE TABLE known_agents (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent_hash BYTEA NOT NULL,
    sign_ins BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, agent_hash)
);
CREATE INDEX known_agents_seen ON known_agents (last_seen_at);

-- The feed of revoked sessions. Numbers come from the counter row, inside the transaction that revokes, so that their
-- order is the order of commits on every engine.
CREATE TABLE revocation_counter (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);
INSERT INTO revocation_counter (id, value) VALUES (1, 0);

CREATE TABLE revocations (
    sequence BIGINT PRIMARY KEY,
    session_id TEXT NOT NULL,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX revocations_time ON revocations (revoked_at);

-- Never changed. Rows outlive the user they tell of; those of addresses that nobody has or confirmed go after a week,
-- everyday ones after 90 days.
CREATE TABLE audit_events (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    user_id TEXT,
    session_id TEXT,
    request_id TEXT NOT NULL,
    address TEXT NOT NULL,
    -- As in sessions.
    network TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    -- 1: a mail that anybody can ask for went out. What is counted against floods.
    mailed BIGINT NOT NULL
);
CREATE INDEX audit_events_user ON audit_events (user_id, event, at);
CREATE INDEX audit_events_nobody ON audit_events (at) WHERE user_id IS NULL;
CREATE INDEX audit_events_everyday ON audit_events (at)
    WHERE event IN ('authn_token_refreshed', 'authn_login_fail', 'authn_login_lock');
