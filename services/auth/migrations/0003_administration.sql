-- Minimum token versions, disabled accounts, and an audit trail that says who did what to whom, by pseudonym.

-- What the session was begun under: the value of the counter then.
ALTER TABLE sessions ADD COLUMN token_version BIGINT NOT NULL DEFAULT 0;

-- One counter for all raises: whoever signs in after one has at least its version, whoever it was raised for.
CREATE TABLE token_version_counter (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);
INSERT INTO token_version_counter (id, value) VALUES (1, 0);

CREATE TABLE minimum_versions (
    version BIGINT PRIMARY KEY,
    -- NULL: everybody.
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    raised_at BIGINT NOT NULL,
    -- From then on sessions of a lower version are over.
    effective_at BIGINT NOT NULL
);
CREATE INDEX minimum_versions_user ON minimum_versions (user_id, version);
CREATE INDEX minimum_versions_effective ON minimum_versions (effective_at);

-- In the feed a raise is one entry without a session. It stays until the last token that it concerns has expired.
ALTER TABLE revocations ADD COLUMN user_id TEXT;
ALTER TABLE revocations ADD COLUMN everyone BIGINT NOT NULL DEFAULT 0;
ALTER TABLE revocations ADD COLUMN effective_at BIGINT;

ALTER TABLE users ADD COLUMN disabled_at BIGINT;

-- By which name the audit trail knows the user; what ties it to a person goes with the account. Earlier accounts keep
-- their id, which their earlier rows have.
ALTER TABLE users ADD COLUMN pseudonym TEXT NOT NULL DEFAULT '';
UPDATE users SET pseudonym = id;
CREATE UNIQUE INDEX users_pseudonym ON users (pseudonym);

ALTER TABLE audit_events RENAME COLUMN user_id TO subject;
-- Who did it, where that is somebody else.
ALTER TABLE audit_events ADD COLUMN actor TEXT;
ALTER TABLE audit_events ADD COLUMN detail TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_events_time ON audit_events (at, id);

DROP INDEX audit_events_everyday;
CREATE INDEX audit_events_everyday ON audit_events (at)
    WHERE event IN (
        'authn_token_refreshed', 'authn_login_fail', 'authn_login_lock', 'authn_login_unverified',
        'authn_login_disabled', 'authn_password_change_fail', 'authn_password_reset_requested',
        'verification_requested', 'user_registered_again', 'authz_fail', 'authn_second_factor_fail',
        'authn_step_up_fail', 'authn_second_factor_required', 'authn_reauthentication_fail');
