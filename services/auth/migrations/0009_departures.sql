-- Users whose accounts are deleted, until Token has forgotten them, too.

CREATE TABLE departures (
    user_id TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL,
    -- How often Token has answered. Asked twice, since an access token may have reached it behind the first time.
    answers BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL
);
CREATE INDEX departures_due ON departures (next_attempt_at);
