-- How long others wait for a process that says nothing any more, in microseconds: each says its own. 0: not said.

ALTER TABLE keyring_replicas ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;
