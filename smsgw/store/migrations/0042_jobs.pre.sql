-- Durable jobs (platform/jobs). The row is queue, lease and result; a node that runs one holds it under an epoch.
CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    params jsonb NOT NULL DEFAULT '{}',
    subject text NOT NULL DEFAULT '',            -- what it is about: one unfinished job of a kind for each
    account_id bigint REFERENCES account,        -- whose it is; NULL: the operator's
    department_id bigint,
    submitter text NOT NULL,
    owner text NOT NULL GENERATED ALWAYS AS (COALESCE('account/' || account_id, submitter)) STORED,
    node int,                                    -- the only one that can run it; NULL: any
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,             -- 0: not known
    checkpoint jsonb NOT NULL DEFAULT '{}',      -- of the kind: where the next run goes on
    cancel_asked boolean NOT NULL DEFAULT false,
    error text NOT NULL DEFAULT '',              -- code
    detail jsonb NOT NULL DEFAULT '{}',
    attempts int NOT NULL DEFAULT 0,             -- runs begun
    crashes int NOT NULL DEFAULT 0,              -- runs that came to a bad end
    runner int,
    epoch bigint NOT NULL DEFAULT 0,
    leased_until timestamptz,
    not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    ended_at timestamptz,
    expires_at timestamptz NOT NULL              -- unfinished: it fails; ended: it is forgotten
);
CREATE INDEX job_open ON job (not_before, id) WHERE state IN ('waiting', 'running');
CREATE UNIQUE INDEX job_subject ON job (kind, subject) WHERE state IN ('waiting', 'running') AND subject <> '';
CREATE INDEX job_expiry ON job (expires_at);
CREATE INDEX job_account ON job (account_id, id);
