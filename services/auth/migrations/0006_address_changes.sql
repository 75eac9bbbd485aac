-- Changes of address, which the present address and the new one both confirm; mail to addresses that are no account's.

CREATE TABLE address_changes (
    id TEXT PRIMARY KEY,
    -- One at a time.
    user_id TEXT NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    new_email TEXT NOT NULL,
    approved_at BIGINT,
    confirmed_at BIGINT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX address_changes_expiry ON address_changes (expires_at);

ALTER TABLE link_tokens ADD COLUMN change_id TEXT REFERENCES address_changes (id) ON DELETE CASCADE;
CREATE INDEX link_tokens_change ON link_tokens (change_id);

-- Where the mail goes, when that is not the account's address.
ALTER TABLE notifications ADD COLUMN recipient TEXT;
ALTER TABLE notifications ADD COLUMN change_id TEXT REFERENCES address_changes (id) ON DELETE CASCADE;
CREATE INDEX notifications_change ON notifications (change_id);
