-- Channels, routing, and partners.

-- A carrier account, or the simulated carrier of test keys (core.model.TEST_CHANNEL).
CREATE TABLE channel (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE CONSTRAINT channel_name_check CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$' OR id = -1),
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
INSERT INTO channel (id, name, protocol, host, port, username, password_sealed)
OVERRIDING SYSTEM VALUE VALUES (-1, '@test', 'cmpp30', '127.0.0.1', 1, '', '');
SELECT config_watch('channel', 'channels');

-- What a channel was, is, or is to be set to: each change is a version with who, when and why. Secrets are sealed as in the
-- channel itself and never shown; which version a password was entered with says whether two have the same.
CREATE TABLE channel_version (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    channel_id int NOT NULL REFERENCES channel,
    number int NOT NULL,
    base int NOT NULL,         -- the version that was in force when it was made; 0: none
    state text NOT NULL CHECK (state IN ('waiting', 'active', 'replaced', 'rejected', 'withdrawn')),
    config jsonb NOT NULL,
    password_sealed bytea NOT NULL,
    password_of int NOT NULL,  -- number of the version that the password was entered with
    peer_sealed bytea,         -- the profile's peer_password
    peer_of int NOT NULL,
    reason text NOT NULL DEFAULT '',
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    answer text NOT NULL DEFAULT '',
    UNIQUE (channel_id, number)
);
CREATE UNIQUE INDEX channel_version_waiting ON channel_version (channel_id) WHERE state = 'waiting';
CREATE UNIQUE INDEX channel_version_active ON channel_version (channel_id) WHERE state = 'active';

-- What the owner of a channel last said about it; a hint for people and for routing, never an arbiter.
CREATE TABLE channel_state (
    channel_id int PRIMARY KEY REFERENCES channel,
    node int NOT NULL,
    bound int NOT NULL,
    last_bound_at timestamptz,
    last_error text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL,
    refused boolean NOT NULL DEFAULT false   -- not logged in, as the carrier has refused it
);

-- What subscribers of channel.state were last told.
CREATE TABLE channel_told (
    channel_id int PRIMARY KEY REFERENCES channel ON DELETE CASCADE,
    state text NOT NULL
);

-- How a channel spells in its reports the ids of its answers.
CREATE TABLE channel_spelling (
    channel_id int PRIMARY KEY REFERENCES channel,
    mode text NOT NULL,
    source text NOT NULL CHECK (source IN ('learned', 'set')),
    matches int NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT now()
);
SELECT config_watch('channel_spelling', 'report_ids');

-- The last probe of a channel (a test message of the platform itself), and what the one before it has shown until this one
-- is judged. Probes belong to an account that nobody has (PROBE_ACCOUNT), cost nothing and are reported to nobody.
CREATE TABLE channel_probe (
    channel_id int PRIMARY KEY REFERENCES channel,
    message_id bigint NOT NULL,
    number text NOT NULL,
    sent_at timestamptz NOT NULL,
    judged boolean NOT NULL DEFAULT false,
    ok boolean,  -- of the last one that was judged; NULL: none was
    detail text NOT NULL DEFAULT '',
    judged_at timestamptz
);

-- A test of what a channel is set to: what was looked at step by step, by whom. One at a time for a person and a channel.
CREATE TABLE channel_check (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    channel_id int NOT NULL REFERENCES channel,
    begun_by text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,                 -- none, and long since begun: its node went away
    findings jsonb NOT NULL DEFAULT '[]',
    -- it has come to its end: one that was broken off has an end as well, and has shown nothing
    done boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX channel_check_person ON channel_check (begun_by) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX channel_check_open ON channel_check (channel_id) WHERE ended_at IS NULL;
CREATE INDEX channel_check_channel ON channel_check (channel_id, id DESC);

-- A channel that gets less of what its pools hold while others there deliver more (docs/adr/075), with the figures.
CREATE TABLE channel_shift (
    channel_id int PRIMARY KEY,
    since timestamptz NOT NULL,
    low_at timestamptz NOT NULL,     -- when it was last below the limit
    rate double precision NOT NULL,  -- percent delivered of what counts
    ended int NOT NULL,              -- parts
    better text NOT NULL,            -- a channel of one of its pools that delivers enough
    better_rate double precision NOT NULL
);

-- A spell in which a carrier has said that it is sent too fast, and down to which rate: the newest of each channel. Nodes
-- keep their own: a channel that has changed its node in a spell has two.
CREATE TABLE channel_throttle (
    channel_id int NOT NULL REFERENCES channel,
    began_at timestamptz NOT NULL,
    node int NOT NULL,
    until timestamptz NOT NULL,
    rate_limit int NOT NULL,  -- of the channel then; 0: none
    lowest double precision,  -- the lowest rate that was kept to; none: nothing was slowed down
    taken bigint NOT NULL,
    refused bigint NOT NULL,
    over boolean NOT NULL,    -- false, and not told for minutes: its node went away
    PRIMARY KEY (channel_id, began_at, node)
);

-- A time in which submits and answers of a channel are recorded, octet by octet (docs/adr/079).
CREATE TABLE submit_recording (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id int NOT NULL REFERENCES channel,
    begun_at timestamptz NOT NULL DEFAULT now(),
    begun_by text NOT NULL,
    reason text NOT NULL,
    until timestamptz NOT NULL CHECK (until > begun_at AND until <= begun_at + interval '7 days'),
    ended_at timestamptz,                -- before its time
    ended_by text NOT NULL DEFAULT '',
    kept bigint NOT NULL DEFAULT 0,      -- PDUs
    left_out bigint NOT NULL DEFAULT 0,  -- submits of which nothing was kept, as more came than fits
    octets bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX submit_recording_open ON submit_recording (channel_id) WHERE ended_at IS NULL;
CREATE INDEX submit_recording_channel ON submit_recording (channel_id, id);
SELECT config_watch('submit_recording', 'channels', '{kept,left_out,octets}');

-- A submit as it was written, or its answer. Ids decide the day, by the clock of this server, and days go after a few.
CREATE TABLE submit_pdu (
    id bigint NOT NULL DEFAULT
        ((extract(epoch FROM now() - timestamptz '2024-01-01 00:00:00+00') * 1000)::bigint << 22),
    message_id bigint NOT NULL,
    part smallint NOT NULL,
    attempt smallint NOT NULL,
    ours boolean NOT NULL,  -- the submit; false: the carrier's answer
    channel_id int NOT NULL,
    at timestamptz NOT NULL,
    protocol text NOT NULL,
    pdu bytea NOT NULL
) PARTITION BY RANGE (id);
CREATE TABLE submit_pdu_99991231 PARTITION OF submit_pdu DEFAULT;
CREATE INDEX submit_pdu_message ON submit_pdu (message_id);

-- --- Routing and retries ---

-- A route table that was published: the newest is in force. A rollback publishes an old one again.
CREATE TABLE route_version (
    version int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    document jsonb NOT NULL,
    note text NOT NULL DEFAULT '',
    actor text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);
SELECT config_watch('route_version', 'routes');

-- A route table that a person is working on: the whole document, and the version that it was made from. A draft of a version
-- that is not the newest any more is brought together with it first.
CREATE TABLE route_draft (
    owner_id bigint PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    base int NOT NULL,                -- 0: before anything was published
    document text NOT NULL CHECK (octet_length(document) <= 4194304),
    revision int NOT NULL DEFAULT 1,  -- moves with every change: who has seen an older one changes nothing
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- A route table that waits for a second person: what is put in force is what was submitted, over the version it was made on.
CREATE TABLE route_submission (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    base int NOT NULL,  -- the version in force when it was submitted; 0: none
    document jsonb NOT NULL,
    note text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'approved', 'rejected', 'withdrawn')),
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    answer text NOT NULL DEFAULT '',
    version int         -- what it has become
);
CREATE UNIQUE INDEX route_submission_waiting ON route_submission ((true)) WHERE state = 'waiting';

-- A number, or prefix, whose carrier is not that of its segment: ported, or a segment the package does not know. Pages name
-- it by its id, for eleven digits are somebody's number; by chance and not from a sequence.
CREATE TABLE number_override (
    prefix text PRIMARY KEY CHECK (prefix ~ '^1[0-9]{2,10}$'),  -- national digits; 11 of them are one number
    carrier text NOT NULL CHECK (carrier IN ('CMCC', 'CUCC', 'CTCC', 'CBN')),
    province text NOT NULL DEFAULT '',
    source text NOT NULL CHECK (source IN ('import', 'learned')),
    learned_code text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    id bigint DEFAULT hashtextextended(gen_random_uuid()::text, 0) & 9223372036854775807
);
CREATE UNIQUE INDEX number_override_id ON number_override (id);
SELECT config_watch('number_override', 'numbers', '{id}');

-- A file of prefixes and ported numbers that was brought in.
CREATE TABLE number_import (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,           -- of the file
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    added int NOT NULL,
    changed int NOT NULL,
    same int NOT NULL,
    undone_by text NOT NULL DEFAULT '',
    undone_at timestamptz,
    undone int NOT NULL DEFAULT 0,
    kept int NOT NULL DEFAULT 0   -- entries that something else has changed since
);

-- What an entry was before a file was brought in, so that the file can be taken back.
CREATE TABLE number_import_entry (
    import_id bigint NOT NULL REFERENCES number_import ON DELETE CASCADE,
    prefix text NOT NULL,
    carrier text NOT NULL,
    province text NOT NULL,
    at timestamptz NOT NULL,  -- as the entry has it: who has written it since has another one
    was_carrier text,         -- NULL: there was none
    was_province text,
    was_source text,
    was_code text,
    was_at timestamptz,
    PRIMARY KEY (import_id, prefix)
);

-- A rule of retries where it differs from the built-in table (core/retry.py).
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
SELECT config_watch('retry_rule', 'retry_rules');

-- What a carrier's code means, where it differs from the built-in table (core/report_codes.py).
CREATE TABLE code_class (
    channel_id int REFERENCES channel,  -- NULL: all channels
    source text NOT NULL CHECK (source IN ('answer', 'report')),
    code text NOT NULL CHECK (code = upper(code) AND code <> ''),
    class text NOT NULL,
    fault text NOT NULL,
    carrier text NOT NULL DEFAULT '' CHECK (carrier IN ('', 'CMCC', 'CUCC', 'CTCC', 'CBN'))
);
CREATE UNIQUE INDEX code_class_key ON code_class (COALESCE(channel_id, 0), source, code);
SELECT config_watch('code_class', 'code_classes');

-- Digits that an account, a signature or a channel had before; replies to them still find home until the time given.
CREATE TABLE old_code (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    channel_id int,      -- a channel's former access code
    account_id bigint,   -- an account's (or with sign: a signature's) former extension
    sign text NOT NULL DEFAULT '',
    code text NOT NULL,  -- the digits: access code, or extension
    until timestamptz NOT NULL,
    CHECK ((channel_id IS NULL) <> (account_id IS NULL))
);
SELECT config_watch('old_code', 'access_codes');

-- --- Partners ---

-- A login of an account for SMPP or CMPP.
CREATE TABLE partner (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    protocol text NOT NULL CHECK (protocol IN ('smpp', 'cmpp')),
    username text NOT NULL CHECK (username ~ '^[!-~]{1,15}$'),
    password_sealed bytea NOT NULL,
    max_binds int NOT NULL DEFAULT 4 CHECK (max_binds BETWEEN 1 AND 1000),
    send_window int NOT NULL DEFAULT 64 CHECK (send_window BETWEEN 1 AND 1000),
    rate int NOT NULL DEFAULT 0 CHECK (rate BETWEEN 0 AND 1000000),
    ip_allow inet[] NOT NULL DEFAULT '{}',
    type text NOT NULL DEFAULT 'notice' CHECK (type IN ('otp', 'notice', 'marketing')),
    code text NOT NULL DEFAULT '' CHECK (code ~ '^[0-9]{0,20}$'),
    any_source boolean NOT NULL DEFAULT false,
    alphabet text NOT NULL DEFAULT 'gsm7' CHECK (alphabet IN ('gsm7', 'ascii', 'latin1', 'ucs2')),
    message_ids text NOT NULL DEFAULT 'decimal' CHECK (message_ids IN ('decimal', 'hex')),
    long_mo text NOT NULL DEFAULT 'udh' CHECK (long_mo IN ('udh', 'payload')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped')),
    created_at timestamptz NOT NULL DEFAULT now(),
    any_clock boolean NOT NULL DEFAULT false,  -- its clock stands still or was never set
    UNIQUE (protocol, username)
);
CREATE INDEX partner_account ON partner (account_id);
SELECT config_watch('partner', 'partners');

-- A bind of a partner on a node, and how it is doing since it was bound, as its node last said. Rows whose node has not
-- confirmed them for a while are over.
CREATE TABLE partner_bind (
    node int NOT NULL,
    number bigint NOT NULL,               -- of the node
    partner_id int NOT NULL,
    account_id bigint NOT NULL,
    mode text NOT NULL,                   -- transmitter, receiver, transceiver
    ip text NOT NULL,
    bound_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    kick boolean NOT NULL DEFAULT false,  -- its node shall end it
    version text NOT NULL DEFAULT '',
    submits bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    slowed bigint NOT NULL DEFAULT 0,     -- of those: for too much at a time
    delivered bigint NOT NULL DEFAULT 0,  -- reports and replies that it has taken
    unanswered int NOT NULL DEFAULT 0,    -- its requests that have no answer yet
    deliveries int NOT NULL DEFAULT 0,    -- ours
    rate real NOT NULL DEFAULT 0,         -- submits a second, between the last two confirmations
    last_at timestamptz,                  -- when it last sent something
    codes jsonb NOT NULL DEFAULT '{}',    -- why submits were refused -> how many
    PRIMARY KEY (node, number)
);

-- An address that logins have come from: it is not shut out by others who guess, after a restart or on another node.
CREATE TABLE partner_address (
    partner_id int NOT NULL REFERENCES partner ON DELETE CASCADE,
    network text NOT NULL,          -- an address, of IPv6 the network of 64 bits
    noted_at timestamptz NOT NULL,  -- by the database's clock; a login after a day notes it anew
    PRIMARY KEY (partner_id, network)
);
CREATE INDEX partner_address_noted ON partner_address (noted_at);

-- A CMPP login that has let somebody in: it proves its password with a time of the partner's clock, and whoever has seen it
-- must not come in with it again, on no node and not after a restart.
CREATE TABLE partner_connect (
    partner_id int NOT NULL REFERENCES partner ON DELETE CASCADE,
    stamp bigint NOT NULL,          -- Timestamp of CMPP_CONNECT, MMDDHHMMSS
    noted_at timestamptz NOT NULL,  -- by the database's clock
    PRIMARY KEY (partner_id, stamp)
);
CREATE INDEX partner_connect_noted ON partner_connect (noted_at);

-- A submit of a partner that is no message of its own: a part of a long message, with the id that its sender was given, or a
-- destination of a group that was refused.
CREATE TABLE partner_part (
    id bigint NOT NULL PRIMARY KEY,
    account_id bigint NOT NULL,
    partner_id int NOT NULL,
    key text NOT NULL,                 -- source, destination, kind of reference, reference, total
    total smallint NOT NULL,
    part smallint NOT NULL,
    number text NOT NULL,              -- as the partner wrote it
    octets bytea NOT NULL,             -- without the header
    coding text NOT NULL,
    extend_code text NOT NULL DEFAULT '',
    reply text NOT NULL,               -- core.partners.ReplyTo
    urgent boolean NOT NULL DEFAULT false,
    send_at timestamptz,
    expire_at timestamptz,
    received_at timestamptz NOT NULL,
    message_id bigint,
    set_id bigint NOT NULL DEFAULT 0   -- its first part; 0: all under the key
) PARTITION BY RANGE (id);
CREATE TABLE partner_part_99991231 PARTITION OF partner_part DEFAULT;
COMMENT ON COLUMN partner_part.message_id IS 'what it is part of; its own id: refused; 0: refused for now, may come again';
CREATE INDEX partner_part_waiting ON partner_part (received_at) WHERE message_id IS NULL;
CREATE INDEX partner_part_key ON partner_part (account_id, key, received_at);
CREATE INDEX partner_part_message ON partner_part (message_id) WHERE message_id IS NOT NULL;
