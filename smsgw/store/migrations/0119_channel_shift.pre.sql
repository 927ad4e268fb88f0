-- Channels that get less of what their pools hold while others there deliver more (ADR 075), with the figures.
CREATE TABLE channel_shift (
    channel_id int PRIMARY KEY,
    since timestamptz NOT NULL,
    low_at timestamptz NOT NULL,             -- when it was last below the limit
    rate double precision NOT NULL,          -- percent delivered of what counts
    ended int NOT NULL,                      -- parts
    better text NOT NULL,                    -- a channel of one of its pools that delivers enough
    better_rate double precision NOT NULL
);
