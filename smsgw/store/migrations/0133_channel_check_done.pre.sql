-- Whether a test of a channel has come to its end: one that was broken off has an end as well, and has shown nothing.
ALTER TABLE channel_check ADD COLUMN done boolean NOT NULL DEFAULT false;
UPDATE channel_check SET done = true WHERE ended_at IS NOT NULL;

-- A version without a password of the gateway has none of any version: two without are alike.
UPDATE channel_version SET peer_of = 0 WHERE peer_sealed IS NULL;
