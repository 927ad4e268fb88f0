-- Keys: the token before the last rotation stays good until it is retired; when and from where a key was last used.
ALTER TABLE api_key
    ADD COLUMN old_bearer_sha256 bytea UNIQUE,
    ADD COLUMN rotated_at timestamptz,
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN last_used_ip inet;

-- Messages of test keys: a pool and a channel of their own (core.model.TEST_POOL, TEST_CHANNEL), served by a simulated
-- carrier inside the daemon. What must never happen, a test message on a real channel or paid for, the tables refuse.
INSERT INTO pool (id, name) OVERRIDING SYSTEM VALUE VALUES (-1, '@test');
ALTER TABLE channel DROP CONSTRAINT channel_name_check,
    ADD CONSTRAINT channel_name_check CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$' OR id = -1);
INSERT INTO channel (id, name, protocol, host, port, username, password_sealed)
OVERRIDING SYSTEM VALUE VALUES (-1, '@test', 'cmpp30', '127.0.0.1', 1, '', '');
ALTER TABLE message
    ADD COLUMN test boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT message_test_is_free CHECK (NOT test OR price = 0);
ALTER TABLE part
    ADD CONSTRAINT part_test_stays CHECK (channel_id IS NULL OR (channel_id = -1) = (pool_id = -1));
ALTER TABLE customer_event ADD COLUMN test boolean NOT NULL DEFAULT false;
