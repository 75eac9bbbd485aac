-- Machine clients: their secrets, and the tokens that were issued to them.

CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- Roles of the contract, space-separated.
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Two at most are good at once. 256 random bits each, so a plain digest is enough.
CREATE TABLE client_secrets (
    secret_hash BYTEA PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
CREATE INDEX client_secrets_client ON client_secrets (client_id, created_at);

-- One row for each token, so that one can be ended. In the feed and in the token it stands where a session does.
CREATE TABLE client_tokens (
    id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    secret_id TEXT NOT NULL,
    -- As in sessions.
    token_version BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX client_tokens_client ON client_tokens (client_id, issued_at);
CREATE INDEX client_tokens_secret ON client_tokens (secret_id);
CREATE INDEX client_tokens_expiry ON client_tokens (expires_at);

DROP INDEX audit_events_everyday;
CREATE INDEX audit_events_everyday ON audit_events (at)
    WHERE event IN (
        'authn_token_refreshed', 'authn_login_fail', 'authn_login_lock', 'authn_login_unverified',
        'authn_login_disabled', 'authn_password_change_fail', 'authn_password_reset_requested',
        'verification_requested', 'user_registered_again', 'authz_fail', 'authn_second_factor_fail',
        'authn_step_up_fail', 'authn_second_factor_required', 'authn_reauthentication_fail',
        'client_authn_fail', 'client_token_issued');
