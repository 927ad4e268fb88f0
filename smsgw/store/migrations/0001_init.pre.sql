-- The first schema. Ids are time-ordered (core/ids.py), so the big tables are partitioned by ranges of id, one
-- range a business day; partitions are made by store/partitions.py, never here.

-- Which schema this is, and the oldest program version that may run on it.
CREATE TABLE schema_info (
    version int NOT NULL,
    compat int NOT NULL
);

-- Who may do what at the moment: a channel has one owner node, a job one runner. Expiry by the database's clock.
CREATE SEQUENCE lease_epoch;
CREATE TABLE lease (
    resource text PRIMARY KEY,
    node int NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Bumped by every change of operating data; nodes reload when it moves.
CREATE SEQUENCE config_version;

-- Sending accounts. balance and credit_floor are in billable parts.
CREATE TABLE account (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    display_name text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped')),
    balance bigint NOT NULL DEFAULT 0,
    credit_floor bigint NOT NULL DEFAULT 0 CHECK (credit_floor <= 0),
    default_sign text NOT NULL DEFAULT '',
    sign_required boolean NOT NULL DEFAULT true,   -- false: the carrier signs, or the account sends abroad
    extend_code text NOT NULL DEFAULT '' CHECK (extend_code ~ '^[0-9]{0,12}$'),
    unknown_policy text CHECK (unknown_policy IN ('hold', 'hold_short', 'resend')),
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (balance >= credit_floor)
);

-- API keys. The bearer token is kept as SHA-256; the HMAC secrets are sealed (AES-GCM), two of them during rotation.
CREATE TABLE api_key (
    key_id text PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    bearer_sha256 bytea NOT NULL UNIQUE,
    secrets_sealed bytea[] NOT NULL CHECK (cardinality(secrets_sealed) BETWEEN 1 AND 2),
    scopes text[] NOT NULL,
    test boolean NOT NULL DEFAULT false,
    ip_allow inet[] NOT NULL DEFAULT '{}',
    requests_per_second int NOT NULL DEFAULT 200 CHECK (requests_per_second BETWEEN 1 AND 100000),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped')),
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Carrier accounts.
CREATE TABLE channel (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    protocol text NOT NULL CHECK (protocol IN ('cmpp20', 'cmpp30', 'smpp34', 'sgip12', 'smgp30')),
    host text NOT NULL,
    port int NOT NULL CHECK (port BETWEEN 1 AND 65535),
    username text NOT NULL,
    password_sealed bytea NOT NULL,
    access_code text NOT NULL DEFAULT '',
    connections int NOT NULL DEFAULT 1 CHECK (connections BETWEEN 1 AND 64),
    send_window int NOT NULL DEFAULT 16 CHECK (send_window BETWEEN 1 AND 1000),
    rate int NOT NULL DEFAULT 0 CHECK (rate >= 0),
    carriers text[] NOT NULL DEFAULT '{}',
    unknown_policy text NOT NULL DEFAULT 'hold' CHECK (unknown_policy IN ('hold', 'hold_short', 'resend')),
    profile jsonb NOT NULL DEFAULT '{}',
    desired text NOT NULL DEFAULT 'started' CHECK (desired IN ('started', 'draining', 'stopped')),
    version bigint NOT NULL DEFAULT 0,
    removed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What the owner of a channel last said about it; a hint for people and for routing, never an arbiter.
CREATE TABLE channel_state (
    channel_id int PRIMARY KEY REFERENCES channel,
    node int NOT NULL,
    bound int NOT NULL,
    last_bound_at timestamptz,
    last_error text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL
);

-- Messages queue by pool; channels pull from their pools.
CREATE TABLE pool (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE
);
INSERT INTO pool (name) VALUES ('CMCC'), ('CUCC'), ('CTCC'), ('CBN'), ('INTL');

-- One customer submission to one number.
CREATE TABLE message (
    id bigint PRIMARY KEY,
    batch_id bigint NOT NULL,            -- id of the first message of the call
    account_id bigint NOT NULL,
    origin text NOT NULL,
    type text NOT NULL,
    number text NOT NULL,                -- E.164 digits
    carrier text NOT NULL,
    province text NOT NULL,
    content text NOT NULL,               -- with signature, as on the phone
    sign text NOT NULL,
    coding text NOT NULL,                -- core.text.Coding
    parts smallint NOT NULL,
    concat_ref smallint NOT NULL,
    price int NOT NULL,                  -- billable units debited for all parts
    client_ref text NOT NULL DEFAULT '',
    ext text NOT NULL DEFAULT '',
    extend_code text NOT NULL DEFAULT '',
    submitter text NOT NULL DEFAULT ''   -- key id or staff login
) PARTITION BY RANGE (id);
CREATE INDEX message_account ON message (account_id, id);
CREATE INDEX message_number ON message (number, id);
CREATE INDEX message_client_ref ON message (account_id, client_ref) WHERE client_ref <> '';

-- The state machine (core/states.py): one wire segment of a message.
CREATE TABLE part (
    id bigint NOT NULL,
    part smallint NOT NULL,
    total smallint NOT NULL,
    account_id bigint NOT NULL,
    pool_id int NOT NULL,
    lane smallint NOT NULL,
    state smallint NOT NULL,
    attempt smallint NOT NULL DEFAULT 0,
    channel_id int,
    epoch bigint,
    resent smallint NOT NULL DEFAULT 0,  -- how often it was sent again after its outcome had stayed unknown
    unknown_policy text,                 -- the account's, frozen at accept; NULL: the channel's
    next_at timestamptz,                 -- DEFERRED: next try; SCHEDULED: due; UNKNOWN: policy's time; SENT: report deadline
    expires_at timestamptz NOT NULL,     -- not written after this
    carrier_id text,
    code text NOT NULL DEFAULT '',       -- raw code of the last answer or report, or our reason code
    class text NOT NULL DEFAULT '',
    by_us boolean NOT NULL DEFAULT false,
    inferred boolean NOT NULL DEFAULT false,
    accepted_at timestamptz NOT NULL,
    claimed_at timestamptz,
    answered_at timestamptz,
    final_at timestamptz,
    PRIMARY KEY (id, part)
) PARTITION BY RANGE (id);
-- The claim: whole messages by their first part, lane by lane in order of acceptance.
CREATE INDEX part_claim ON part (pool_id, lane, id) WHERE state = 10 AND part = 1;
-- A channel takes up again what it refused for now.
CREATE INDEX part_deferred ON part (channel_id, next_at) WHERE state = 11;
-- Its time comes: SCHEDULED is sent, SENT has waited for its report long enough, UNKNOWN meets its policy.
CREATE INDEX part_due ON part (next_at) WHERE state IN (2, 30, 31);
-- Recovery, resolution, the operator's list.
CREATE INDEX part_open ON part (channel_id, epoch) WHERE state IN (20, 31);
-- A report finds its part.
CREATE INDEX part_carrier ON part (channel_id, carrier_id) WHERE carrier_id IS NOT NULL;

-- Attempts that were superseded: their late reports still find home.
CREATE TABLE attempt (
    id bigint NOT NULL,
    part smallint NOT NULL,
    attempt smallint NOT NULL,
    channel_id int NOT NULL,
    carrier_id text,
    code text NOT NULL,
    claimed_at timestamptz,
    answered_at timestamptz,
    PRIMARY KEY (id, part, attempt)
) PARTITION BY RANGE (id);

-- What is out of the ordinary in a message's life, and every operator's action on it.
CREATE TABLE event (
    id bigint NOT NULL,                  -- of the message
    at timestamptz NOT NULL,
    part smallint NOT NULL,              -- 0: the whole message
    kind text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (id);
CREATE INDEX event_id ON event (id);

-- Reports that came before the answer they belong to, or belong to nothing we know.
CREATE TABLE receipt_orphan (
    channel_id int NOT NULL,
    carrier_id text NOT NULL,
    state smallint NOT NULL,
    code text NOT NULL,
    class text NOT NULL,
    number text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (channel_id, carrier_id, code)
);
CREATE INDEX receipt_orphan_age ON receipt_orphan (received_at);

-- Inbound messages.
CREATE TABLE mo (
    id bigint PRIMARY KEY,
    account_id bigint,                   -- NULL: no account owns the code
    channel_id int NOT NULL,
    number text NOT NULL,
    to_code text NOT NULL,
    extend_code text NOT NULL DEFAULT '',
    content text NOT NULL,
    parts smallint NOT NULL DEFAULT 1,
    complete boolean NOT NULL DEFAULT true,
    in_reply_to bigint,
    received_at timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX mo_account ON mo (account_id, id);
CREATE INDEX mo_number ON mo (number, id);

-- Every inbound PDU once (dedupe by the carrier's id); parts of long ones wait here for their siblings.
CREATE TABLE mo_part (
    channel_id int NOT NULL,
    carrier_id text NOT NULL,
    number text NOT NULL,
    to_code text NOT NULL,
    ref int,
    total smallint NOT NULL,
    part smallint NOT NULL,
    content text NOT NULL,
    mo_id bigint,                        -- the message it has become part of
    received_at timestamptz NOT NULL,
    PRIMARY KEY (channel_id, carrier_id)
);
CREATE INDEX mo_part_waiting ON mo_part (received_at) WHERE mo_id IS NULL;
CREATE INDEX mo_part_siblings ON mo_part (number, to_code, ref, total) WHERE mo_id IS NULL;

-- What the customer is told: a report for a message that has become final (or was corrected), or an MO.
CREATE TABLE customer_event (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    kind text NOT NULL,                  -- report, mo
    message_id bigint NOT NULL,          -- of message or mo
    status text NOT NULL DEFAULT '',
    class text NOT NULL DEFAULT '',
    code text NOT NULL DEFAULT '',
    parts_ok smallint NOT NULL DEFAULT 0,
    submitted_at timestamptz,
    done_at timestamptz,
    batch_id bigint,                     -- of the pull that holds it
    leased_until timestamptz,
    acknowledged_at timestamptz
) PARTITION BY RANGE (id);
CREATE INDEX customer_event_waiting ON customer_event (account_id, kind, id) WHERE acknowledged_at IS NULL;
CREATE INDEX customer_event_batch ON customer_event (batch_id) WHERE acknowledged_at IS NULL AND batch_id IS NOT NULL;
CREATE INDEX customer_event_message ON customer_event (message_id);

-- Idempotency keys ('k') and client references ('r'), in the transaction of the messages; swept after 7 days.
CREATE TABLE request_key (
    account_id bigint NOT NULL,
    kind "char" NOT NULL CHECK (kind IN ('k', 'r')),
    key text NOT NULL,
    request_sha256 bytea NOT NULL,
    message_id bigint NOT NULL,          -- the first of the call
    answer bytea NOT NULL,               -- the data of the first answer, JSON
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, kind, key)
);
CREATE INDEX request_key_age ON request_key (created_at);

-- Money. units < 0 debit, > 0 credit; Σ units = balance.
CREATE TABLE ledger (
    id bigint NOT NULL,                  -- debit: batch id; others: an id of their own
    account_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('debit', 'refund', 'topup', 'adjust')),
    units bigint NOT NULL,
    note text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_account ON ledger (account_id, at);

-- Counters of the flow, written in the transactions that they count; one row per minute, node, account, channel, metric.
CREATE TABLE stat_minute (
    minute timestamptz NOT NULL,
    node int NOT NULL,
    account_id bigint NOT NULL,          -- 0: not known there
    channel_id int NOT NULL,             -- 0: none
    metric text NOT NULL,                -- accepted, submitted, delivered, failed, unknown, mo, …
    n bigint NOT NULL,
    PRIMARY KEY (minute, node, account_id, channel_id, metric)
);

-- People who log in to the portal.
CREATE TABLE staff (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    login text NOT NULL UNIQUE,
    name text NOT NULL DEFAULT '',
    role text NOT NULL CHECK (role IN ('super', 'sysadmin', 'secadmin', 'auditor', 'admin', 'dept', 'operator',
                                       'reviewer', 'finance', 'ops', 'dev')),
    password_hash text NOT NULL,
    must_change boolean NOT NULL DEFAULT false,
    failures int NOT NULL DEFAULT 0,
    locked_until timestamptz,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped')),
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE staff_account (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    account_id bigint NOT NULL REFERENCES account,
    PRIMARY KEY (staff_id, account_id)
);
CREATE TABLE portal_session (
    token_sha256 bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    csrf text NOT NULL,
    ip inet,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- Who changed what; each row carries the hash of the one before it.
CREATE TABLE audit (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    ip inet,
    action text NOT NULL,
    object text NOT NULL,
    before jsonb,
    after jsonb,
    hash bytea NOT NULL
);

INSERT INTO schema_info VALUES (1, 1);
