-- Retry rules and code meanings where they differ from the built-in tables (core/retry.py, core/reportcodes.py).
CREATE TABLE retry_rule (
    fault text NOT NULL,
    type text NOT NULL CHECK (type IN ('otp', 'notice', 'marketing')),
    how text NOT NULL CHECK (how IN ('never', 'same', 'other')),
    tries int NOT NULL CHECK (tries BETWEEN 0 AND 100),
    deadline_s double precision NOT NULL CHECK (deadline_s >= 0),
    first_s double precision NOT NULL CHECK (first_s >= 0),
    most_s double precision NOT NULL CHECK (most_s >= first_s),
    PRIMARY KEY (fault, type)
);
CREATE TABLE code_class (
    channel_id int REFERENCES channel,   -- NULL: all channels
    source text NOT NULL CHECK (source IN ('answer', 'report')),
    code text NOT NULL CHECK (code = upper(code) AND code <> ''),
    class text NOT NULL,
    fault text NOT NULL,
    carrier text NOT NULL DEFAULT '' CHECK (carrier IN ('', 'CMCC', 'CUCC', 'CTCC', 'CBN'))
);
CREATE UNIQUE INDEX code_class_key ON code_class (COALESCE(channel_id, 0), source, code);

ALTER TABLE part
    ADD COLUMN tries smallint NOT NULL DEFAULT 0,            -- retries after failures that cost a submit
    ADD COLUMN failed boolean NOT NULL DEFAULT false,        -- an earlier attempt was taken and reported as failed
    ADD COLUMN elsewhere boolean NOT NULL DEFAULT false,     -- DEFERRED: leaves its channel once all parts want to
    ADD COLUMN avoid_channels int[] NOT NULL DEFAULT '{}';   -- these have failed: others only
-- What other channels have failed at, out of turn.
CREATE INDEX part_again ON part (pool_id, lane, id) WHERE state = 10 AND part = 1 AND avoid_channels <> '{}';
-- A late report finds the attempt that was given up.
CREATE INDEX attempt_carrier ON attempt (channel_id, carrier_id) WHERE carrier_id IS NOT NULL;

-- How a channel spells in its reports the ids of its answers.
CREATE TABLE channel_spelling (
    channel_id int PRIMARY KEY REFERENCES channel,
    mode text NOT NULL,
    source text NOT NULL CHECK (source IN ('learned', 'set')),
    matches int NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT now()
);
