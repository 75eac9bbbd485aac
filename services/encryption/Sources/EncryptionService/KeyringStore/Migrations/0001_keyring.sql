-- The keyring that several encryption processes share. What is secret is sealed under the master key, which is not here.

CREATE TABLE keyring (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    -- Grows by one with each change: whoever changes it says which one it saw.
    revision BIGINT NOT NULL,
    -- As the keyring file is.
    sealed BLOB NOT NULL
);

-- How many messages each version of a key may have sealed, by all processes together. Apart from the keys, since it
-- changes more often.
CREATE TABLE keyring_reserves (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL,
    sealed BLOB NOT NULL
);

-- The processes. One whose beat stands still has lapsed.
CREATE TABLE keyring_replicas (
    -- Random, of one process's life.
    id TEXT PRIMARY KEY,
    -- Host and process number, for whoever looks.
    label TEXT NOT NULL,
    beat BIGINT NOT NULL,
    -- The revision of the keyring that it has; 0 before it has one.
    revision BIGINT NOT NULL
);

-- The log of key administration: lines as in the file, each with the hash of the one before it.
CREATE TABLE key_audit (
    sequence BIGINT PRIMARY KEY,
    line TEXT NOT NULL
);
