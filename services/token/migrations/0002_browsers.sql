-- The browser that started a flow: SHA-256 of what it has in a cookie. Flows of before have none and end for their user alone.
ALTER TABLE authorizations ADD COLUMN browser_hash TEXT;

CREATE INDEX authorizations_browser ON authorizations (browser_hash);
