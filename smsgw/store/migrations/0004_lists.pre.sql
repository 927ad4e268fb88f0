-- Settings that operators change while the system runs; what is not here has its default (core/settings.py).
CREATE TABLE setting (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

-- What is wrong right now, and what was. One open alarm for each (kind, object).
CREATE TABLE alarm (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    object text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('warning', 'critical')),
    detail text NOT NULL DEFAULT '',
    since timestamptz NOT NULL,
    last timestamptz NOT NULL,
    count int NOT NULL DEFAULT 1,            -- how often it was raised since it opened
    acked_at timestamptz,
    acked_by text NOT NULL DEFAULT '',
    cleared_at timestamptz
);
CREATE UNIQUE INDEX alarm_open ON alarm (kind, object) WHERE cleared_at IS NULL;
CREATE INDEX alarm_since ON alarm (since);

-- Numbers that get nothing, or nothing of a kind. Conditions that are empty (0, '') hold always; those that are given
-- must all hold. A removed entry stays for a while as the news of its removal.
-- Writers take turns (advisory lock in store/blocklist.py), so versions become visible in their order.
CREATE SEQUENCE block_version;
CREATE TABLE block_list (
    number bigint NOT NULL,                  -- E.164 digits
    account_id bigint NOT NULL DEFAULT 0,
    type text NOT NULL DEFAULT '',
    sign text NOT NULL DEFAULT '',
    source text NOT NULL CHECK (source IN ('manual', 'opt_out', 'complaint', 'carrier')),
    reason text NOT NULL DEFAULT '',
    actor text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    removed_at timestamptz,
    version bigint NOT NULL DEFAULT nextval('block_version'),
    PRIMARY KEY (number, account_id, type, sign)
);
CREATE INDEX block_list_version ON block_list (version);

-- Complaints about messages, and how many were sent by signature (by channel: stat_minute).
CREATE TABLE complaint (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    number text NOT NULL,                    -- E.164 digits
    message_id bigint,                       -- the message complained about, when it is known
    account_id bigint,
    channel_id int,
    sign text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX complaint_at ON complaint (at);
CREATE TABLE sign_day (
    day date NOT NULL,
    node int NOT NULL,
    sign text NOT NULL,
    n bigint NOT NULL,                       -- parts accepted
    PRIMARY KEY (day, node, sign)
);

-- Numbers that accounts, signatures or channels had before; replies to them still find home until the time given.
CREATE TABLE old_code (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    channel_id int,                          -- a channel's former access code
    account_id bigint,                       -- an account's (or with sign: a signature's) former extension
    sign text NOT NULL DEFAULT '',
    code text NOT NULL,                      -- the digits: access code, or extension
    until timestamptz NOT NULL,
    CHECK ((channel_id IS NULL) <> (account_id IS NULL))
);
-- Extensions that signatures have of their own; without one the account's counts.
CREATE TABLE sign_code (
    account_id bigint NOT NULL REFERENCES account,
    sign text NOT NULL,
    extend_code text NOT NULL CHECK (extend_code ~ '^[0-9]{1,12}$'),
    PRIMARY KEY (account_id, sign)
);

-- May send on the emergency lane.
ALTER TABLE account ADD COLUMN emergency boolean NOT NULL DEFAULT false;
