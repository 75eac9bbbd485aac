-- How and when the user of a session was last authenticated; AuthenticationMethods has the words.

ALTER TABLE sessions ADD COLUMN methods TEXT NOT NULL DEFAULT 'pwd';
ALTER TABLE sessions ADD COLUMN authenticated_at BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET authenticated_at = coalesce(factor_at, created_at),
    methods = CASE WHEN factor_at IS NULL THEN 'pwd' ELSE 'pwd otp mfa' END;
