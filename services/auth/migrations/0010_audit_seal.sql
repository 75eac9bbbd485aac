-- The audit trail: personal fields under a key for each user, and a chain over its rows.

-- Goes with the user, and what it sealed with it: rows stay, and nobody reads from where they were caused.
CREATE TABLE audit_keys (
    pseudonym TEXT PRIMARY KEY REFERENCES users (pseudonym) ON DELETE CASCADE,
    key BYTEA NOT NULL
);

-- By whose key, and address and user agent under it. Earlier rows, and those of addresses that nobody has, keep them plain.
ALTER TABLE audit_events ADD COLUMN sealed_for TEXT;
ALTER TABLE audit_events ADD COLUMN sealed BYTEA;

-- An account's deletion looks for its acts.
CREATE INDEX audit_events_actor ON audit_events (actor) WHERE actor IS NOT NULL;

-- Rows that the chain does not hold yet: written with them, by a trigger, so that writers do not wait for each other at its
-- head, and a process of the version before is heard too.
CREATE TABLE audit_queue (
    event_id TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX audit_queue_at ON audit_queue (at, event_id);
INSERT INTO audit_queue (event_id, at) SELECT id, at FROM audit_events;

-- An entry for each row, in the order of sealing. It stays when its row is forgotten.
CREATE TABLE audit_chain (
    position BIGINT PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    -- Whom the row is about, or who did it; nobody for what anybody can cause, which is forgotten.
    subject TEXT,
    -- SHA-256 of the row, without what is personal and plain.
    digest BYTEA NOT NULL,
    -- SHA-256 of the entry before's, and of all that stands in this one.
    hash BYTEA NOT NULL
);
CREATE INDEX audit_chain_subject ON audit_chain (subject, event);

-- Who seals: one process at a time.
CREATE TABLE audit_sealer (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL
);
INSERT INTO audit_sealer (id, owner, lease_until) VALUES (1, '', 0);
