-- How many sessions a user may have, sessions that nobody uses, and where one was last used from.

-- See Tier; empty for accounts without one.
ALTER TABLE users ADD COLUMN tier TEXT NOT NULL DEFAULT '';

-- Of the last refresh; empty until then. Which networks are familiar is decided by sign-ins alone.
ALTER TABLE sessions ADD COLUMN last_address TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_idle ON sessions (last_used_at);
