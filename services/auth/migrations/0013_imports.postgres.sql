-- A deleted key is gone when the table is cleaned: soon, however few there are among many.
ALTER TABLE audit_keys SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 0);
