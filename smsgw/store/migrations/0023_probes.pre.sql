-- Probes: test messages of the platform itself, each for one channel. They wait in a pool that no channel pulls from
-- (core.model.PROBE_POOL), belong to an account that nobody has (PROBE_ACCOUNT), cost nothing and are reported to nobody.
INSERT INTO pool (id, name) OVERRIDING SYSTEM VALUE VALUES (-2, '@probe');
ALTER TABLE message
    ADD CONSTRAINT message_probe_is_free CHECK (account_id <> -2 OR (test AND price = 0)) NOT VALID;
ALTER TABLE part
    ADD CONSTRAINT part_probe_stays CHECK ((account_id = -2) = (pool_id = -2)) NOT VALID;

-- The last probe of a channel, and what the one before it has shown until this one is judged.
CREATE TABLE channel_probe (
    channel_id int PRIMARY KEY REFERENCES channel,
    message_id bigint NOT NULL,
    number text NOT NULL,
    sent_at timestamptz NOT NULL,
    judged boolean NOT NULL DEFAULT false,
    ok boolean,                          -- of the last one that was judged; NULL: none was
    detail text NOT NULL DEFAULT '',
    judged_at timestamptz
);
