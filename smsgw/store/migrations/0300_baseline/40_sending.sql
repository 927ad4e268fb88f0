-- Sending: drafts, scenarios, tasks, review, fallback.

-- A file of recipients. The octets are the file store's.
CREATE TABLE upload (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    node int NOT NULL,
    name text NOT NULL,
    size bigint NOT NULL,
    form jsonb NOT NULL,  -- how it is to be read
    columns text[] NOT NULL,
    phone_column int,     -- guessed, from 0
    first_rows jsonb NOT NULL,
    row_count int NOT NULL,
    submitter text NOT NULL,
    expires_at timestamptz NOT NULL,
    removed boolean NOT NULL DEFAULT false
);
CREATE INDEX upload_due ON upload (expires_at) WHERE NOT removed;

-- What a person (or an account, by the API) is about to send: the steps of the wizard as far as they have come, and what
-- was found about the numbers.
CREATE TABLE send_draft (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    owner_id bigint REFERENCES staff ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) BETWEEN 16 AND 64),
    kind text NOT NULL CHECK (kind IN ('same', 'own')),
    subject text NOT NULL DEFAULT '' CHECK (length(subject) <= 64),
    state text NOT NULL CHECK (octet_length(state) <= 262144),
    survey text CHECK (octet_length(survey) <= 262144),
    survey_of text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    account_id bigint REFERENCES account,
    UNIQUE (owner_id, key),
    CHECK ((owner_id IS NULL) <> (account_id IS NULL)),
    UNIQUE (account_id, key)
);
CREATE INDEX send_draft_owner ON send_draft (owner_id, updated_at);
CREATE INDEX send_draft_account ON send_draft (account_id, updated_at) WHERE account_id IS NOT NULL;

-- A scenario (业务场景): what a kind of sending always has, so that who sends picks it and need not know the details. It is
-- sent within spans of the day (windows, core.schedule); window_from and window_to are its only span, where there is one.
CREATE TABLE scenario (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 40),
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 200),
    type text NOT NULL CHECK (type IN ('otp', 'notice', 'marketing')),
    sign text NOT NULL DEFAULT '',           -- '': any that the account may use, as is an empty extension
    template_id bigint REFERENCES template,  -- NULL: any text
    extend_code text NOT NULL DEFAULT '',
    valid_minutes int CHECK (valid_minutes BETWEEN 1 AND 43200),
    window_from text NOT NULL DEFAULT '',    -- HH:MM in China; both or none
    window_to text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz,
    fallback jsonb,
    windows text NOT NULL DEFAULT '' CHECK (length(windows) <= 400),
    UNIQUE (account_id, name)
);

-- --- Tasks ---

-- A large job. The row is the lock between feeding and every command: both take it FOR UPDATE. It may send in steps
-- (docs/adr/056): what was asked for, and where the run stands.
CREATE TABLE task (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL,
    kind text NOT NULL DEFAULT 'sms' CHECK (kind = 'sms'),
    state text NOT NULL CHECK (state IN ('importing', 'review', 'scheduled', 'running', 'paused', 'sent', 'finished',
                                         'cancelled', 'failed')),
    paused_from text CHECK (paused_from IN ('scheduled', 'running', 'sent')),
    self_paused boolean NOT NULL DEFAULT false,   -- by rule: resumes by itself when the rule allows
    reason text NOT NULL DEFAULT '',              -- code of why it is paused, failed, or waits
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
    total int NOT NULL DEFAULT 0,                 -- rows of the file
    valid int NOT NULL DEFAULT 0,                 -- rows in task_row
    problems jsonb NOT NULL DEFAULT '{}',         -- code -> rows that are not
    run int NOT NULL DEFAULT 0,                   -- how often it has begun
    next_at timestamptz,                          -- when it begins (again)
    due_at timestamptz,                           -- of the next row, while it runs
    fed int NOT NULL DEFAULT 0,                   -- rows of this run that have become messages, or were refused
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz,
    audience_id bigint,
    callback_url text NOT NULL DEFAULT '',
    review_reasons text[] NOT NULL DEFAULT '{}',
    steps jsonb,                                  -- what was asked for (docs/adr/056), …
    stages jsonb,                                 -- … and where the run stands
    version int NOT NULL DEFAULT 1,               -- so that nobody overwrites or approves what was not seen (docs/adr/059)
    emergency boolean NOT NULL DEFAULT false,     -- before everything else (特发): approved by somebody else first
    prefer text NOT NULL DEFAULT '' CHECK (length(prefer) <= 64),  -- a group of channels that the routing allows
    frequency jsonb,                              -- at most so often to a number, counted over all tasks with the same tag
    fallback jsonb,                               -- what is sent instead of a message that has failed (docs/adr/067)
    masked boolean NOT NULL DEFAULT false,
    masked_texts boolean NOT NULL DEFAULT false,  -- whether its values went with its numbers
    approved jsonb,                               -- what it said before an edit that somebody is asked about
    message_kind text NOT NULL DEFAULT '',
    link_id bigint,
    CONSTRAINT task_send_at_bounds CHECK (send_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08'),
    CONSTRAINT task_expire_at_bounds CHECK (expire_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
CREATE INDEX task_account ON task (account_id, id);
CREATE UNIQUE INDEX task_client_ref ON task (account_id, client_ref) WHERE client_ref <> '';
CREATE UNIQUE INDEX task_request_key ON task (account_id, request_key) WHERE request_key <> '';
CREATE INDEX task_live ON task (id) WHERE state NOT IN ('finished', 'cancelled', 'failed');
CREATE INDEX task_upload ON task (upload_id) WHERE state = 'importing';
CREATE INDEX task_importing ON task (id) WHERE state = 'importing';
CREATE INDEX task_halted ON task (account_id) WHERE state = 'paused' AND reason = 'STAGE_HALTED';

-- Whom a task sends to, numbered without gaps from 1 in the order of the file.
CREATE TABLE task_row (
    task_id bigint NOT NULL,
    n int NOT NULL,
    line int NOT NULL,     -- as the customer's program numbers it
    number text NOT NULL,  -- E.164 digits
    ext text,
    vals text[],           -- of the variables, in the order of the text
    PRIMARY KEY (task_id, n)
);

-- A row that gets no message, and why: found at the import (run 0) or refused at the door.
CREATE TABLE task_problem (
    task_id bigint NOT NULL,
    run int NOT NULL,
    line int NOT NULL,
    n int,
    number text NOT NULL,  -- as written
    code text NOT NULL,
    message text NOT NULL,
    message_id bigint,     -- of a refusal that is on record as a message, too
    cells text[],          -- the row as it was, of those found at the import
    PRIMARY KEY (task_id, run, line)
);

-- What is known of a task's rows before a reviewer sees it: how they were sorted when somebody confirmed them, and those
-- that have to be seen for their own values.
CREATE TABLE task_finding (
    task_id bigint PRIMARY KEY REFERENCES task ON DELETE CASCADE,
    survey jsonb,
    held int NOT NULL DEFAULT 0,
    held_rows int[] NOT NULL DEFAULT '{}'
);

-- A time that a task has begun.
CREATE TABLE task_run (
    task_id bigint NOT NULL,
    run int NOT NULL,
    due_at timestamptz NOT NULL,
    rows int NOT NULL,                      -- it was to send to
    fed int,                                -- of them; while it is fed the task knows
    missed boolean NOT NULL DEFAULT false,  -- the system was away, or the task paused, at its time
    started_at timestamptz NOT NULL,
    finished_at timestamptz,                -- all its messages are final
    totals jsonb,                           -- null: not known, or a report has changed it since
    content text,                           -- what the run has said, as a task may be edited between two; NULL: missed
    sign text,
    link_id bigint,
    link_first int,                         -- its rows have the codes from there on
    PRIMARY KEY (task_id, run)
);
CREATE INDEX task_run_open ON task_run (task_id) WHERE finished_at IS NULL;

-- Rows first … first + size - 1 of a run, which became the messages base_id, base_id + 1, …; those refused are missing there.
-- Rows that no channel could take when they were fed stand aside: they keep the ids of their chunk, and are tried again.
CREATE TABLE task_chunk (
    task_id bigint NOT NULL,
    run int NOT NULL,
    first int NOT NULL,
    size int NOT NULL,
    base_id bigint NOT NULL,
    fed_at timestamptz NOT NULL DEFAULT now(),
    waiting boolean NOT NULL DEFAULT true,  -- may hold what no channel has claimed yet
    final boolean NOT NULL DEFAULT false,   -- all of it has come to an end …
    open boolean NOT NULL DEFAULT true,     -- … that no report can correct any more
    counts jsonb NOT NULL DEFAULT '{}',     -- status -> messages, as of counted_at
    counted_at timestamptz NOT NULL DEFAULT '-infinity',
    aside int[],                            -- their numbers; null: none
    aside_at timestamptz,                   -- when they are tried (again)
    feeds int NOT NULL DEFAULT 1,           -- how often it has got messages: counts know by it
    PRIMARY KEY (task_id, run, first)
);
CREATE INDEX task_chunk_waiting ON task_chunk (task_id) WHERE waiting;
CREATE INDEX task_chunk_ending ON task_chunk (task_id, run) WHERE NOT final;
CREATE INDEX task_chunk_base ON task_chunk (base_id);
CREATE INDEX task_chunk_aside ON task_chunk (task_id, run, aside_at) WHERE aside IS NOT NULL;
CREATE INDEX task_chunk_open ON task_chunk (task_id, counted_at, run, first) WHERE open;

-- --- Review and fallback ---

-- A call or a task that waits for a reviewer, or did; the messages of a call have batch_id. What is asked about a task is
-- asked anew for each version of it, under an id of its own: who passes the former one passes nothing.
CREATE TABLE review (
    batch_id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    type text NOT NULL,
    origin text NOT NULL,
    submitter text NOT NULL,
    reasons text[] NOT NULL,          -- why, for people
    numbers int NOT NULL,
    parts int NOT NULL,
    content text NOT NULL,            -- of the first message
    due_at timestamptz,
    validity interval NOT NULL,       -- from the release on
    expires_at timestamptz NOT NULL,  -- nobody is asked any more
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'passed', 'rejected', 'expired', 'withdrawn')),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    task boolean NOT NULL DEFAULT false,
    task_id bigint                    -- the task; the question about its first version has its id
);
CREATE INDEX review_pending ON review (created_at) WHERE state = 'pending';
CREATE INDEX review_task ON review (task_id) WHERE task_id IS NOT NULL;

-- A question about a task that does not say which is about the one whose id it has.
CREATE FUNCTION review_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.task_id := NEW.batch_id;
    RETURN NEW;
END $$;
CREATE TRIGGER review_task BEFORE INSERT ON review FOR EACH ROW
    WHEN (NEW.task AND NEW.task_id IS NULL) EXECUTE FUNCTION review_task();

-- Messages of one call that have a chain behind them (消息回落, docs/adr/067): looked at until each has come to its end, or
-- the time is over.
CREATE TABLE fallback_watch (
    base_id bigint PRIMARY KEY,        -- the first of …
    ids bigint[] NOT NULL,             -- … the messages, all within one block of ids
    account_id bigint NOT NULL,
    chain jsonb NOT NULL,              -- as it was when they were accepted
    hop smallint NOT NULL CHECK (hop BETWEEN 0 AND 3),  -- hops that have led to these messages; 0: the first ones
    first_id bigint,                   -- of a hop: the message that its chain began with
    task_id bigint,
    run int,
    reviewed boolean NOT NULL,         -- a reviewer has passed the chain with the task
    vals jsonb,                        -- message -> variable -> value, where a hop has variables
    open bigint[] NOT NULL,            -- those of them that may still be followed
    until timestamptz NOT NULL,        -- no hop is taken after
    problem text NOT NULL DEFAULT '',  -- code of why a hop that is due has not been taken yet
    look_at timestamptz                -- NULL: nothing more will follow
);
CREATE INDEX fallback_watch_due ON fallback_watch (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX fallback_watch_task ON fallback_watch (task_id, run) WHERE look_at IS NOT NULL AND task_id IS NOT NULL;

-- What has followed a failed message, once: by a person's hand, or (hop > 0) by its chain.
CREATE TABLE message_resend (
    message_id bigint PRIMARY KEY,
    again_id bigint NOT NULL,  -- the message that it has become
    at timestamptz NOT NULL DEFAULT now(),
    hop smallint NOT NULL DEFAULT 0,
    first_id bigint,
    task_id bigint,
    run int
);
CREATE INDEX message_resend_again ON message_resend (again_id);
CREATE INDEX message_resend_task ON message_resend (task_id, run) WHERE task_id IS NOT NULL;
