-- Guesses that were not looked at, since their lane was closed; see GuessLane.

-- Counted so that refusing one is as much work as counting one: else who waits for the answer sees which accounts are closed.
ALTER TABLE guesses ADD COLUMN refused BIGINT NOT NULL DEFAULT 0;
