-- One row for each message that was accepted. `payload` (address, name, variables) is sealed by Encryption and erased
-- the moment the message ends, in whatever way; `digest` (sealed too) is what tells a repeated request from a different
-- one under the same key. Times are microseconds since 1970.
CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    template TEXT NOT NULL,
    digest BLOB NOT NULL,
    payload BLOB,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'failed', 'expired')),
    request_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    -- Grows with each claim: what a late worker writes under an older number is ignored.
    lease_number BIGINT NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until BIGINT,
    -- The class of the last failure, never its text.
    last_failure TEXT,
    finished_at BIGINT,
    CONSTRAINT messages_key UNIQUE (caller, idempotency_key),
    CONSTRAINT erased_when_finished CHECK ((state = 'queued') = (payload IS NOT NULL))
);

CREATE INDEX messages_due ON messages (due_at) WHERE state = 'queued';
CREATE INDEX messages_finished ON messages (finished_at) WHERE state <> 'queued';
