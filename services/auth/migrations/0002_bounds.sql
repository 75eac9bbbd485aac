-- Indexes that let everything which runs often find its rows by range, and the site of a request beside its network.

-- The mails that somebody got lately are counted from the index alone, however many requests brought none.
ALTER TABLE audit_events ADD COLUMN site TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_events_mailed ON audit_events (user_id, event, mailed, at, network, site) WHERE mailed = 1;

DROP INDEX audit_events_nobody;
CREATE INDEX audit_events_user_time ON audit_events (user_id, at);
DROP INDEX audit_events_everyday;
CREATE INDEX audit_events_everyday ON audit_events (at)
    WHERE event IN (
        'authn_token_refreshed', 'authn_login_fail', 'authn_login_lock', 'authn_login_unverified',
        'authn_password_change_fail', 'authn_password_reset_requested', 'verification_requested',
        'user_registered_again');

DROP INDEX guesses_unknown;
DROP INDEX guesses_user;
CREATE INDEX guesses_user_time ON guesses (user_id, last_at);

CREATE INDEX notifications_nothing ON notifications (id) WHERE kind = 'nothing';
