-- Signatures that accounts have applied for, and templates; what the reviewer says, and what each carrier says (报备).
CREATE TABLE sign (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    sign text NOT NULL,
    source text NOT NULL DEFAULT '',         -- company, brand, app …: what entitles to it
    note text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'refused')),
    reason text NOT NULL DEFAULT '',
    reviewed_by text NOT NULL DEFAULT '',
    reviewed_at timestamptz,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, sign)
);
CREATE TABLE template (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (START WITH 10001),
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('otp', 'notice', 'marketing')),
    content text NOT NULL,
    variables jsonb NOT NULL DEFAULT '{}',   -- name -> {"form": …, "most": …}
    sign text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'refused')),
    reason text NOT NULL DEFAULT '',
    reviewed_by text NOT NULL DEFAULT '',
    reviewed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, name)
);
CREATE TABLE registration (
    kind text NOT NULL CHECK (kind IN ('sign', 'template')),
    id bigint NOT NULL,
    carrier text NOT NULL CHECK (carrier IN ('CMCC', 'CUCC', 'CTCC', 'CBN')),
    state text NOT NULL CHECK (state IN ('pending', 'registered', 'refused')),
    note text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id, carrier)
);
ALTER TABLE message ADD COLUMN template_id bigint NOT NULL DEFAULT 0;

-- The recent messages to each number (core/frequency.py), over all accounts. seq guards against who writes at once.
CREATE TABLE number_recent (
    number bigint PRIMARY KEY,               -- E.164 digits
    seq int NOT NULL,
    until bigint NOT NULL,                   -- seconds since 2024-01-01: nothing of it matters after that
    sent bytea NOT NULL
) WITH (fillfactor = 70);

-- Calls that wait for a reviewer, or did; their messages have batch_id.
CREATE TABLE review (
    batch_id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    type text NOT NULL,
    origin text NOT NULL,
    submitter text NOT NULL,
    reasons text[] NOT NULL,                 -- why, for people
    numbers int NOT NULL,
    parts int NOT NULL,
    content text NOT NULL,                   -- of the first message
    due_at timestamptz,
    validity interval NOT NULL,              -- from the release on
    expires_at timestamptz NOT NULL,         -- nobody is asked any more
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'passed', 'rejected', 'expired')),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX review_pending ON review (created_at) WHERE state = 'pending';
