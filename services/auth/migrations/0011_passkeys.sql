-- Passkeys (WebAuthn): public keys of users' devices, and challenges that were given out.

CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id BYTEA NOT NULL UNIQUE,
    -- COSE_Key, as it was registered.
    public_key BYTEA NOT NULL,
    -- 0 for authenticators that do not count.
    sign_count BIGINT NOT NULL,
    -- 1: may be on several devices.
    synced BIGINT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_user ON passkeys (user_id, created_at);

DROP INDEX audit_events_everyday;
CREATE INDEX audit_events_everyday ON audit_events (at)
    WHERE event IN (
        'authn_token_refreshed', 'authn_login_fail', 'authn_login_lock', 'authn_login_unverified',
        'authn_login_disabled', 'authn_password_change_fail', 'authn_password_reset_requested',
        'verification_requested', 'user_registered_again', 'authz_fail', 'authn_second_factor_fail',
        'authn_step_up_fail', 'authn_second_factor_required', 'authn_reauthentication_fail',
        'client_authn_fail', 'client_token_issued', 'authn_passkey_fail');

-- Used by being deleted.
CREATE TABLE passkey_challenges (
    challenge_hash BYTEA PRIMARY KEY,
    -- Of the session that registers; NULL for signing in.
    session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX passkey_challenges_session ON passkey_challenges (session_id);
CREATE INDEX passkey_challenges_expiry ON passkey_challenges (expires_at);
