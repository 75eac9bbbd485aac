-- Passwords that are good only beside a second factor (NIST SP 800-63B-4, 3.1.1.2).

-- The characters of one that is enough by itself, where this one has fewer. NULL: it is enough, as all were until now.
ALTER TABLE users ADD COLUMN password_short_of BIGINT;
