-- Users' links to providers. Tokens are sealed by Encryption, each bound to its connection's id and its column's name.
-- Times are microseconds since 1970.
CREATE TABLE connections (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'needs_consent', 'deleted')),
    scope TEXT NOT NULL DEFAULT '',
    token_type TEXT NOT NULL DEFAULT '',
    access_token BLOB,
    refresh_token BLOB,
    -- When the access token ends; NULL when the provider does not say.
    expires_at BIGINT,
    -- Grows with each new pair of tokens.
    token_version BIGINT NOT NULL DEFAULT 0,
    -- Who refreshes, until when, and under which number: grows with each lease, so that a late holder changes nothing.
    lease_number BIGINT NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until BIGINT,
    -- Written before the provider is asked and cleared with the answer. Found by the next holder: nobody knows whether
    -- the provider has replaced the refresh token.
    refresh_started_at BIGINT,
    unknown_outcomes BIGINT NOT NULL DEFAULT 0,
    -- No refresh before this time: the provider asked for it, or failed.
    retry_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT tokens_only_when_linked CHECK (state IN ('active', 'needs_consent') OR (access_token IS NULL AND refresh_token IS NULL)),
    CONSTRAINT active_has_token CHECK (state <> 'active' OR access_token IS NOT NULL)
);

CREATE INDEX connections_user ON connections (user_id, created_at);
CREATE INDEX connections_lease ON connections (lease_owner) WHERE lease_owner IS NOT NULL;

-- Flows under way: found by the hash of `state`, deleted by the one callback that uses it.
CREATE TABLE authorizations (
    state_hash TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    -- PKCE's code_verifier, sealed.
    verifier BLOB NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX authorizations_expiry ON authorizations (expires_at);
CREATE INDEX authorizations_connection ON authorizations (connection_id);

-- Tokens that a provider still has to be told to forget. The sealed columns are the connection's own.
CREATE TABLE revocations (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    access_token BLOB,
    refresh_token BLOB,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    lease_number BIGINT NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until BIGINT
);

CREATE INDEX revocations_due ON revocations (due_at);

-- What was done with whose connection; written in the transaction of the change.
CREATE TABLE audit_events (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    user_id TEXT,
    connection_id TEXT,
    provider TEXT,
    request_id TEXT NOT NULL
);

CREATE INDEX audit_events_user ON audit_events (user_id, at);
-- One row for each read; forgotten after a while, unlike the others.
CREATE INDEX audit_events_reads ON audit_events (at) WHERE event = 'token_read';
