-- How each bind is doing, as its node last said: any node can show it. Counted since it was bound.
ALTER TABLE partner_bind
    ADD COLUMN version text NOT NULL DEFAULT '',
    ADD COLUMN submits bigint NOT NULL DEFAULT 0,
    ADD COLUMN refused bigint NOT NULL DEFAULT 0,
    ADD COLUMN slowed bigint NOT NULL DEFAULT 0,     -- of those: for too much at a time
    ADD COLUMN delivered bigint NOT NULL DEFAULT 0,  -- reports and replies that it has taken
    ADD COLUMN unanswered int NOT NULL DEFAULT 0,    -- its requests that have no answer yet
    ADD COLUMN deliveries int NOT NULL DEFAULT 0,    -- ours
    ADD COLUMN rate real NOT NULL DEFAULT 0,         -- submits a second, between the last two confirmations
    ADD COLUMN last_at timestamptz,                  -- when it last sent something
    ADD COLUMN codes jsonb NOT NULL DEFAULT '{}';    -- why submits were refused -> how many
