-- (part.held_for has a further reason: 'task', until its task goes on.)

-- Files of recipients. The octets lie in the data directory of the node that took them.
CREATE TABLE upload (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    node int NOT NULL,
    name text NOT NULL,
    size bigint NOT NULL,
    form jsonb NOT NULL,                 -- how it is to be read
    columns text[] NOT NULL,
    phone_column int,                    -- guessed, from 0
    first_rows jsonb NOT NULL,
    row_count int NOT NULL,
    submitter text NOT NULL,
    expires_at timestamptz NOT NULL,
    removed boolean NOT NULL DEFAULT false
);
CREATE INDEX upload_due ON upload (expires_at) WHERE NOT removed;

-- Large jobs. The row is the lock between feeding and every command: both take it FOR UPDATE.
CREATE TABLE task (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL,
    kind text NOT NULL DEFAULT 'sms' CHECK (kind = 'sms'),
    state text NOT NULL CHECK (state IN ('importing', 'review', 'scheduled', 'running', 'paused', 'sent', 'finished',
                                         'cancelled', 'failed')),
    paused_from text CHECK (paused_from IN ('scheduled', 'running', 'sent')),
    self_paused boolean NOT NULL DEFAULT false,  -- by rule: resumes by itself when the rule allows
    reason text NOT NULL DEFAULT '',             -- code of why it is paused, failed, or waits
    detail jsonb NOT NULL DEFAULT '{}',
    origin text NOT NULL,
    submitter text NOT NULL,
    client_ref text NOT NULL DEFAULT '',
    request_key text NOT NULL DEFAULT '',
    request_sha256 bytea NOT NULL DEFAULT '',
    type text NOT NULL,
    sign text NOT NULL,
    content text NOT NULL,
    template_id bigint,
    ext text NOT NULL,
    extend_code text NOT NULL,
    upload_id bigint,
    mapping jsonb NOT NULL,
    one_each text NOT NULL CHECK (one_each IN ('number', 'content')),
    review boolean NOT NULL,
    send_at timestamptz,
    expire_at timestamptz,
    windows jsonb NOT NULL,
    recurring jsonb,
    rate int NOT NULL DEFAULT 0,
    total int NOT NULL DEFAULT 0,                -- rows of the file
    valid int NOT NULL DEFAULT 0,                -- rows in task_row
    problems jsonb NOT NULL DEFAULT '{}',        -- code -> rows that are not
    run int NOT NULL DEFAULT 0,                  -- how often it has begun
    next_at timestamptz,                         -- when it begins (again)
    due_at timestamptz,                          -- of the next row, while it runs
    fed int NOT NULL DEFAULT 0,                  -- rows of this run that have become messages, or were refused
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX task_account ON task (account_id, id);
CREATE UNIQUE INDEX task_client_ref ON task (account_id, client_ref) WHERE client_ref <> '';
CREATE UNIQUE INDEX task_request_key ON task (account_id, request_key) WHERE request_key <> '';
CREATE INDEX task_live ON task (id) WHERE state NOT IN ('finished', 'cancelled', 'failed');
CREATE INDEX task_upload ON task (upload_id) WHERE state = 'importing';

-- Whom a task sends to, numbered without gaps from 1 in the order of the file.
CREATE TABLE task_row (
    task_id bigint NOT NULL,
    n int NOT NULL,
    line int NOT NULL,                           -- as the customer's program numbers it
    number text NOT NULL,                        -- E.164 digits
    ext text,
    vals text[],                                 -- of the variables, in the order of the text
    PRIMARY KEY (task_id, n)
);

-- Rows that will get no message, and why: found at the import (run 0) or refused at the door.
CREATE TABLE task_problem (
    task_id bigint NOT NULL,
    run int NOT NULL,
    line int NOT NULL,
    n int,
    number text NOT NULL,                        -- as written
    code text NOT NULL,
    message text NOT NULL,
    message_id bigint,                           -- of a refusal that is on record as a message, too
    cells text[],                                -- the row as it was, of those found at the import
    PRIMARY KEY (task_id, run, line)
);

-- Rows first … first + size - 1 of a run became the messages base_id, base_id + 1, …; those refused are missing there.
CREATE TABLE task_chunk (
    task_id bigint NOT NULL,
    run int NOT NULL,
    first int NOT NULL,
    size int NOT NULL,
    base_id bigint NOT NULL,
    fed_at timestamptz NOT NULL DEFAULT now(),
    waiting boolean NOT NULL DEFAULT true,       -- may hold what no channel has claimed yet
    final boolean NOT NULL DEFAULT false,        -- all of it has come to an end …
    open boolean NOT NULL DEFAULT true,          -- … that no report can correct any more
    counts jsonb NOT NULL DEFAULT '{}',          -- status -> messages, as of counted_at
    counted_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (task_id, run, first)
);
CREATE INDEX task_chunk_waiting ON task_chunk (task_id) WHERE waiting;
CREATE INDEX task_chunk_open ON task_chunk (task_id) WHERE open;
CREATE INDEX task_chunk_ending ON task_chunk (task_id, run) WHERE NOT final;
CREATE INDEX task_chunk_base ON task_chunk (base_id);

-- Every time a task has begun.
CREATE TABLE task_run (
    task_id bigint NOT NULL,
    run int NOT NULL,
    due_at timestamptz NOT NULL,
    rows int NOT NULL,                           -- it was to send to
    fed int,                                     -- of them; while it is fed the task knows
    missed boolean NOT NULL DEFAULT false,       -- the system was away, or the task paused, at its time
    started_at timestamptz NOT NULL,
    finished_at timestamptz,                     -- all its messages are final
    PRIMARY KEY (task_id, run)
);
CREATE INDEX task_run_open ON task_run (task_id) WHERE finished_at IS NULL;
