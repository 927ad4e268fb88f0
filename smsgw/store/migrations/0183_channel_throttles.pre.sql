-- When carriers have said that they are sent too fast, and down to which rate: a row a spell, the newest of each channel.
-- Nodes keep their own: a channel that has changed its node in a spell has two.
CREATE TABLE channel_throttle (
    channel_id int NOT NULL REFERENCES channel,
    began_at timestamptz NOT NULL,
    node int NOT NULL,
    until timestamptz NOT NULL,
    rate_limit int NOT NULL,                 -- of the channel then; 0: none
    lowest double precision,                 -- the lowest rate that was kept to; none: nothing was slowed down
    taken bigint NOT NULL,
    refused bigint NOT NULL,
    over boolean NOT NULL,                   -- false, and not told for minutes: its node went away
    PRIMARY KEY (channel_id, began_at, node)
);
