-- Accounts that were brought from elsewhere (`lockstep import users`).

-- When. Nobody forgets one because its address was never confirmed: whoever has it has waited for nothing.
ALTER TABLE users ADD COLUMN imported_at BIGINT;

DROP INDEX users_unconfirmed;
CREATE INDEX users_unconfirmed ON users (updated_at) WHERE email_verified_at IS NULL AND imported_at IS NULL;
