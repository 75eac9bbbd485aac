-- The audit trail grows, and forgets what AuthStore.pruning and deletions of accounts may; nothing else.

CREATE TRIGGER audit_events_update BEFORE UPDATE ON audit_events
WHEN NOT (
    NEW.id IS OLD.id AND NEW.at IS OLD.at AND NEW.event IS OLD.event AND NEW.subject IS OLD.subject AND NEW.actor IS OLD.actor AND NEW.detail IS OLD.detail
    AND NEW.session_id IS OLD.session_id AND NEW.request_id IS OLD.request_id AND NEW.mailed IS OLD.mailed AND NEW.sealed_for IS OLD.sealed_for AND NEW.sealed IS OLD.sealed
    AND NEW.address = '' AND NEW.network = '' AND NEW.site = '' AND NEW.user_agent = '')
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
WHEN (OLD.subject IS NOT NULL OR OLD.actor IS NOT NULL)
    AND OLD.event NOT IN (
            'authn_token_refreshed', 'authn_login_fail', 'authn_login_lock', 'authn_login_unverified', 'authn_login_disabled',
            'authn_password_change_fail', 'authn_password_reset_requested', 'verification_requested', 'user_registered_again',
            'authz_fail', 'authn_second_factor_fail', 'authn_step_up_fail', 'authn_second_factor_required',
            'authn_reauthentication_fail', 'client_authn_fail', 'client_token_issued', 'authn_passkey_fail')
    AND NOT EXISTS (SELECT 1 FROM users u WHERE u.pseudonym = OLD.subject AND u.email_verified_at IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

CREATE TRIGGER audit_events_wait AFTER INSERT ON audit_events
BEGIN
    INSERT INTO audit_queue (event_id, at) VALUES (NEW.id, NEW.at);
END;

CREATE TRIGGER audit_chain_update BEFORE UPDATE ON audit_chain
BEGIN
    SELECT RAISE(ABORT, 'audit_chain is append-only');
END;

CREATE TRIGGER audit_chain_delete BEFORE DELETE ON audit_chain
BEGIN
    SELECT RAISE(ABORT, 'audit_chain is append-only');
END;
