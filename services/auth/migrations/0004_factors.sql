-- Second factors: authenticator apps, recovery codes, sign-ins that wait for their second step.

CREATE TABLE factors (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- Of TOTP (RFC 6238), sealed by Encryption for this row.
    sealed_secret BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    -- NULL: nobody has shown yet that the app has the secret, and the factor counts for nothing.
    confirmed_at BIGINT,
    last_used_at BIGINT,
    -- The newest time step of which a code was taken; none is taken twice.
    last_step BIGINT NOT NULL
);
CREATE INDEX factors_user ON factors (user_id, confirmed_at);
CREATE INDEX factors_unconfirmed ON factors (created_at) WHERE confirmed_at IS NULL;

-- Used by being deleted.
CREATE TABLE recovery_codes (
    code_hash BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

-- A right password whose second step is missing. Used by being deleted, and gone with the password it was.
CREATE TABLE challenges (
    token_hash BYTEA PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX challenges_user ON challenges (user_id);
CREATE INDEX challenges_expiry ON challenges (expires_at);

-- When a second factor was last shown in the session.
ALTER TABLE sessions ADD COLUMN factor_at BIGINT;
