-- Load tests that were begun on the portal: what was asked for, how it went, what came out. The newest hundred stay.
CREATE TABLE load_test (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint NOT NULL UNIQUE,
    scenario text NOT NULL,
    rate int NOT NULL CHECK (rate BETWEEN 1 AND 3000),
    seconds int NOT NULL CHECK (seconds BETWEEN 10 AND 1800),
    reason text NOT NULL,
    node int NOT NULL,
    begun_by text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'stopped')),
    ended_at timestamptz,
    error text NOT NULL DEFAULT '',
    samples jsonb NOT NULL DEFAULT '[]',     -- [seconds, due, accepted, reported], some hundreds
    result jsonb                             -- as smsgwctl bench --json
);
