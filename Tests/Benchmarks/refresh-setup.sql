-- A user with a session and its first token for each of 64 clients of refresh.pgbench.
INSERT INTO users (id, email, name, roles, password_hash, claims, email_verified_at, created_at, updated_at, pseudonym)
SELECT 'usr_bench_' || n, 'bench-' || n || '@example.org', 'Ada', '', '', 1, 1, 1, 1, 'psd_bench_' || n FROM generate_series(0, 63) n;
INSERT INTO sessions (id, user_id, created_at, last_used_at, expires_at, address, network, user_agent)
SELECT 'ses_bench_' || n, 'usr_bench_' || n, 1, 1, 9000000000000000, '', '', '' FROM generate_series(0, 63) n;
INSERT INTO refresh_tokens (token_hash, session_id, created_at)
SELECT sha256(('bench-' || n || '-0')::bytea), 'ses_bench_' || n, 1 FROM generate_series(0, 63) n;
