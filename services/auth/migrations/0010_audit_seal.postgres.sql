-- The audit trail grows, and forgets what AuthStore.pruning and deletions of accounts may; nothing else.

CREATE FUNCTION audit_events_keep() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.at, NEW.event, NEW.subject, NEW.actor, NEW.detail, NEW.session_id, NEW.request_id, NEW.mailed, NEW.sealed_for, NEW.sealed)
            IS NOT DISTINCT FROM (OLD.id, OLD.at, OLD.event, OLD.subject, OLD.actor, OLD.detail, OLD.session_id, OLD.request_id, OLD.mailed, OLD.sealed_for, OLD.sealed)
            AND NEW.address = '' AND NEW.network = '' AND NEW.site = '' AND NEW.user_agent = ''
        THEN
            RETURN NEW;
        END IF;
    ELSIF (OLD.subject IS NULL AND OLD.actor IS NULL)
        OR OLD.event IN (
            'authn_token_refreshed', 'authn_login_fail', 'authn_login_lock', 'authn_login_unverified', 'authn_login_disabled',
            'authn_password_change_fail', 'authn_password_reset_requested', 'verification_requested', 'user_registered_again',
            'authz_fail', 'authn_second_factor_fail', 'authn_step_up_fail', 'authn_second_factor_required',
            'authn_reauthentication_fail', 'client_authn_fail', 'client_token_issued', 'authn_passkey_fail')
        OR EXISTS (SELECT 1 FROM users u WHERE u.pseudonym = OLD.subject AND u.email_verified_at IS NULL)
    THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_events is append-only';
END
$$;

CREATE FUNCTION audit_events_wait() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO audit_queue (event_id, at) VALUES (NEW.id, NEW.at);
    RETURN NULL;
END
$$;

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER audit_events_keep BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_events_keep();
CREATE TRIGGER audit_events_wait AFTER INSERT ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_events_wait();
CREATE TRIGGER audit_events_truncate BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_chain_keep BEFORE UPDATE OR DELETE ON audit_chain
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_chain_truncate BEFORE TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
