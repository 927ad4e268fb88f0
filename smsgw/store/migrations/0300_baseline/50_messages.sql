-- Messages, their parts, what proves them, what phones send, and what customers are told.

-- A queue of messages, from which channels pull. Messages of test keys, and probes, have pools of their own.
CREATE TABLE pool (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE
);
INSERT INTO pool (name) VALUES ('CMCC'), ('CUCC'), ('CTCC'), ('CBN'), ('INTL');
INSERT INTO pool (id, name) OVERRIDING SYSTEM VALUE VALUES
    (-1, '@test'),                       -- core.model.TEST_POOL: served by a simulated carrier inside the daemon
    (-2, '@probe');                      -- PROBE_POOL: no channel pulls from it
SELECT config_watch('pool', 'routes');

-- One customer submission to one number. What must never happen, a test message or a probe that is paid for, the table
-- refuses.
CREATE TABLE message (
    id bigint PRIMARY KEY,
    batch_id bigint NOT NULL,                      -- id of the first message of the call
    account_id bigint NOT NULL,
    origin text NOT NULL,
    type text NOT NULL,
    number text NOT NULL,                          -- E.164 digits
    carrier text NOT NULL,
    province text NOT NULL,
    content text NOT NULL,                         -- with signature, as on the phone
    sign text NOT NULL,
    coding text NOT NULL,                          -- core.text.Coding
    parts smallint NOT NULL,
    concat_ref smallint NOT NULL,
    price int NOT NULL,                            -- billable units debited for all parts
    client_ref text NOT NULL DEFAULT '',
    ext text NOT NULL DEFAULT '',
    extend_code text NOT NULL DEFAULT '',
    submitter text NOT NULL DEFAULT '',            -- key id or staff login
    callback_url text NOT NULL DEFAULT '',
    refund_failed boolean NOT NULL DEFAULT false,  -- frozen at accept: units of failed parts go back
    test boolean NOT NULL DEFAULT false,
    refusal text NOT NULL DEFAULT '',              -- why we have refused it, for people
    template_id bigint NOT NULL DEFAULT 0,
    kind text NOT NULL DEFAULT '',                 -- of the operator's own (message_kind); '': none
    CONSTRAINT message_test_is_free CHECK (NOT test OR price = 0),
    CONSTRAINT message_probe_is_free CHECK (account_id <> -2 OR (test AND price = 0))
) PARTITION BY RANGE (id);
CREATE TABLE message_99991231 PARTITION OF message DEFAULT;
CREATE INDEX message_account ON message (account_id, id);
CREATE INDEX message_number ON message (number, id);
CREATE INDEX message_client_ref ON message (account_id, client_ref) WHERE client_ref <> '';
-- What somebody or some signature has sent is found among millions; messages are never changed.
CREATE INDEX message_submitter ON message (submitter, id);
CREATE INDEX message_sign ON message (sign, id);

-- One wire segment of a message, which the state machine moves (core/states.py). A test message on a real channel the table
-- refuses.
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
    resent smallint NOT NULL DEFAULT 0,          -- how often it was sent again after its outcome had stayed unknown
    unknown_policy text,                         -- the account's, frozen at accept; NULL: the channel's
    -- DEFERRED: next try; SCHEDULED: due; UNKNOWN: policy's time; SENT: report deadline
    next_at timestamptz,
    expires_at timestamptz NOT NULL,             -- not written after this
    carrier_id text,
    code text NOT NULL DEFAULT '',               -- raw code of the last answer or report, or our reason code
    class text NOT NULL DEFAULT '',
    by_us boolean NOT NULL DEFAULT false,
    inferred boolean NOT NULL DEFAULT false,
    accepted_at timestamptz NOT NULL,
    claimed_at timestamptz,
    answered_at timestamptz,
    final_at timestamptz,
    tries smallint NOT NULL DEFAULT 0,           -- retries after failures that cost a submit
    failed boolean NOT NULL DEFAULT false,       -- an earlier attempt was taken and reported as failed
    elsewhere boolean NOT NULL DEFAULT false,    -- DEFERRED: leaves its channel once all parts want to
    avoid_channels int[] NOT NULL DEFAULT '{}',  -- these have failed: others only
    -- why it is held: NULL waits for a reviewer, 'account' for its account, 'task' for its task
    held_for text,
    PRIMARY KEY (id, part),
    CONSTRAINT part_test_stays CHECK (channel_id IS NULL OR (channel_id = -1) = (pool_id = -1)),
    CONSTRAINT part_probe_stays CHECK ((account_id = -2) = (pool_id = -2))
) PARTITION BY RANGE (id);
CREATE TABLE part_99991231 PARTITION OF part DEFAULT WITH (fillfactor = 60);
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
-- What other channels have failed at, out of turn.
CREATE INDEX part_again ON part (pool_id, lane, id) WHERE state = 10 AND part = 1 AND avoid_channels <> '{}';
-- What waits to be sent, by account and in the order in which its validity ends. The account's sign is in the condition
-- to keep statements off this index that do not ask by account: on a day without statistics a claim would walk all of it.
CREATE INDEX part_waiting ON part (account_id, expires_at) WHERE state IN (10, 11) AND account_id > 0;
CREATE INDEX part_held ON part (account_id, expires_at) WHERE state = 1;
-- Those that did not arrive are found among millions, and why: parts get into these indexes at their end alone.
CREATE INDEX part_ended ON part (id) WHERE state > 40;
CREATE INDEX part_class ON part (class, id) WHERE class <> '';
-- Codes other than that of a delivery are few: a code that does not occur is not looked for in the parts of all days of
-- which reports still come.
CREATE INDEX part_code ON part (code, id) WHERE code NOT IN ('', 'DELIVRD');

-- An attempt of a part that was superseded: its late report still finds home.
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
CREATE TABLE attempt_99991231 PARTITION OF attempt DEFAULT;
-- A late report finds the attempt that was given up.
CREATE INDEX attempt_carrier ON attempt (channel_id, carrier_id) WHERE carrier_id IS NOT NULL;

-- Something out of the ordinary in a message's life, or an operator's action on it.
CREATE TABLE event (
    id bigint NOT NULL,      -- of the message
    at timestamptz NOT NULL,
    part smallint NOT NULL,  -- 0: the whole message
    kind text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (id);
CREATE TABLE event_99991231 PARTITION OF event DEFAULT;
CREATE INDEX event_id ON event (id);

-- Which code of which short link a message carries (docs/adr/088). A message without one has no row here.
CREATE TABLE message_link (
    id bigint NOT NULL,  -- of the message
    link_id bigint NOT NULL,
    n int NOT NULL,      -- which of its codes, from 0
    clicked boolean,     -- whether a person has; NULL: everybody has this code
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE TABLE message_link_99991231 PARTITION OF message_link DEFAULT;
CREATE INDEX message_link_code ON message_link (link_id, n);
CREATE INDEX message_link_clicked ON message_link (id) WHERE clicked;

-- --- Proofs ---

-- What proves the result of a part: the carrier's PDU as it came, or who has decided. Written by the statement that writes
-- the result, never changed; ids decide the day, by the clock of this server, so that a day is over once it is over. A digest
-- is over the salt and the octets, so that who has the digest alone cannot try numbers until one fits; both go together.
CREATE TABLE evidence (
    id bigint NOT NULL DEFAULT
        ((extract(epoch FROM now() - timestamptz '2024-01-01 00:00:00+00') * 1000)::bigint << 22),  -- when it was written
    message_id bigint NOT NULL,
    part smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('report', 'operator')),
    state smallint NOT NULL,
    channel_id int NOT NULL,  -- 0: none
    carrier_id text NOT NULL,
    code text NOT NULL,
    at timestamptz NOT NULL,  -- when it came, or was decided
    pdu bytea,                -- octets as they came; NULL: none, or forgotten since
    digest bytea NOT NULL,    -- SHA-256 of salt and octets
    decided_by text NOT NULL DEFAULT '',
    salt bytea                -- NULL: none, or forgotten since
) PARTITION BY RANGE (id);
CREATE TABLE evidence_99991231 PARTITION OF evidence DEFAULT;
CREATE INDEX evidence_message ON evidence (message_id);

-- The root of the tree over a day's evidence, chained and signed with a key that is not in the database.
CREATE TABLE evidence_root (
    day date PRIMARY KEY,
    leaves bigint NOT NULL,
    root bytea NOT NULL,
    made_at timestamptz NOT NULL,
    key text NOT NULL,
    mac bytea NOT NULL   -- over day, leaves, root, time and the mac of the day before
);

-- Forget the octets in some blocks of a day whose root was made: what proves the results stays, and so does the root.
CREATE FUNCTION evidence_forget(day date, first int, blocks int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    own text := 'evidence_' || to_char(day, 'YYYYMMDD');
    n int;
BEGIN
    IF day > (now() AT TIME ZONE 'Asia/Shanghai')::date - 30
       OR NOT EXISTS (SELECT FROM evidence_root r WHERE r.day = evidence_forget.day)
       OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass('evidence')
                      AND inhrelid = to_regclass(quote_ident(own))) THEN
        RAISE EXCEPTION 'a day whose octets stay' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('UPDATE %I SET pdu = NULL, salt = NULL WHERE ctid >= %L AND ctid < %L AND pdu IS NOT NULL',
                   own, format('(%s,0)', first), format('(%s,0)', first + blocks));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- A report that came before the answer it belongs to, or belongs to nothing we know. Carriers use ids again: two reports
-- under one id that are about two numbers are two.
CREATE TABLE receipt_orphan (
    channel_id int NOT NULL,
    carrier_id text NOT NULL,
    state smallint NOT NULL,
    code text NOT NULL,
    class text NOT NULL,
    number text NOT NULL,
    received_at timestamptz NOT NULL,
    reference int,                             -- what else it says about its part: our reference, …
    by_number boolean NOT NULL DEFAULT false,  -- … or that number and time may be asked
    submitted timestamptz,
    pdu bytea NOT NULL DEFAULT '',
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (channel_id, carrier_id, code, number)
);
CREATE INDEX receipt_orphan_age ON receipt_orphan (received_at);
CREATE INDEX receipt_orphan_number ON receipt_orphan (channel_id, number) WHERE reference IS NOT NULL OR by_number;
CREATE UNIQUE INDEX receipt_orphan_id ON receipt_orphan (id);
CREATE INDEX receipt_orphan_channel ON receipt_orphan (channel_id, id);

-- What a carrier has said and the ledger has refused as often as it was tried: kept for an operator.
CREATE TABLE parked_fact (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node int NOT NULL,
    kind text NOT NULL,   -- answer, given_back, report, inbound
    fact text NOT NULL,   -- JSON in ASCII: it may hold what jsonb and text cannot
    error text NOT NULL,  -- why, without its values
    parked_at timestamptz NOT NULL DEFAULT now()
);

-- --- From phones ---

-- An inbound message. It is never written again, but for being masked.
CREATE TABLE mo (
    id bigint PRIMARY KEY,
    account_id bigint,                         -- NULL: no account owns the code
    channel_id int NOT NULL,
    number text NOT NULL,
    to_code text NOT NULL,
    extend_code text NOT NULL DEFAULT '',
    content text NOT NULL,
    parts smallint NOT NULL DEFAULT 1,
    complete boolean NOT NULL DEFAULT true,
    in_reply_to bigint,
    received_at timestamptz NOT NULL,
    opted_out boolean NOT NULL DEFAULT false   -- it was taken as an opt-out
) PARTITION BY RANGE (id);
CREATE TABLE mo_99991231 PARTITION OF mo DEFAULT;
CREATE INDEX mo_account ON mo (account_id, id);
CREATE INDEX mo_number ON mo (number, id);
-- Replies that were opt-outs, by the message that they answer.
CREATE INDEX mo_opted_out ON mo (account_id, in_reply_to) WHERE opted_out AND in_reply_to IS NOT NULL;

-- What phones have sent is never written again, but for this: whole days that are a week old at least.
CREATE FUNCTION mo_mask(low bigint, high bigint, ids bigint[], numbers text[], texts boolean) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    n int;
BEGIN
    IF high > (extract(epoch FROM now() - interval '7 days' - timestamptz '2024-01-01 00:00:00+00') * 1000)::bigint << 22
       OR EXISTS (SELECT FROM unnest(numbers) x WHERE x !~ '^#[0-9a-f]{32}$') THEN
        RAISE EXCEPTION 'not what is masked' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE mo SET number = g.number, content = CASE WHEN texts THEN '' ELSE mo.content END
    FROM unnest(ids, numbers) AS g(id, number)
    WHERE mo.id = g.id AND mo.id >= low AND mo.id < high;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- An inbound PDU, once (by the carrier's id and the content); parts of long ones wait here for their siblings.
CREATE TABLE mo_part (
    channel_id int NOT NULL,
    carrier_id text NOT NULL,
    number text NOT NULL,
    to_code text NOT NULL,
    ref int,
    total smallint NOT NULL,
    part smallint NOT NULL,
    content text NOT NULL,
    mo_id bigint,  -- the message it has become part of
    received_at timestamptz NOT NULL,
    digest text GENERATED ALWAYS AS (
        md5(number || chr(31) || to_code || chr(31) || COALESCE(ref::text, '') || chr(31) || total::text || chr(31)
            || part::text || chr(31) || content)
    ) STORED,
    PRIMARY KEY (channel_id, carrier_id, digest)
);
CREATE INDEX mo_part_waiting ON mo_part (received_at) WHERE mo_id IS NULL;
CREATE INDEX mo_part_siblings ON mo_part (number, to_code, ref, total) WHERE mo_id IS NULL;

-- Who looks after an inbound message: read, given to somebody, answered, done with.
CREATE TABLE inbound_care (
    mo_id bigint PRIMARY KEY,
    seen_at timestamptz,
    seen_by text,
    assignee text,       -- login of who looks after it
    assigned_by text,
    answered_by bigint,  -- id of the last message that was sent in answer
    done_at timestamptz,
    done_by text
);
CREATE INDEX inbound_care_assignee ON inbound_care (assignee) WHERE assignee IS NOT NULL;

-- An inbound message that nobody has opened yet; not what is an opt-out.
CREATE TABLE inbound_unread (
    mo_id bigint PRIMARY KEY,
    account_id bigint   -- NULL: no account owns the code
);
CREATE INDEX inbound_unread_account ON inbound_unread (account_id);

-- --- What customers are told ---

-- What a customer is told: a report for a message that has become final (or was corrected), an inbound message, or another
-- event. acknowledged_at: no longer offered, because it was delivered or (dead_at) given up. leased_until: not offered before;
-- a puller's lease, or the time of the next try.
CREATE TABLE customer_event (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    kind text NOT NULL,                -- report, mo
    message_id bigint NOT NULL,        -- of message or mo
    status text NOT NULL DEFAULT '',
    class text NOT NULL DEFAULT '',
    code text NOT NULL DEFAULT '',
    parts_ok smallint NOT NULL DEFAULT 0,
    submitted_at timestamptz,
    done_at timestamptz,
    batch_id bigint,                   -- of the pull that holds it
    leased_until timestamptz,
    acknowledged_at timestamptz,
    way text,                          -- NULL: the account's; otherwise this one (redelivery)
    target text,                       -- callback_url of the message
    attempts smallint NOT NULL DEFAULT 0,
    dead_at timestamptz,
    problem text NOT NULL DEFAULT '',  -- why the last try failed
    done_by text NOT NULL DEFAULT '',  -- the way by which it was delivered
    detail jsonb,                      -- of kinds other than report and mo
    test boolean NOT NULL DEFAULT false
) PARTITION BY RANGE (id);
CREATE TABLE customer_event_99991231 PARTITION OF customer_event DEFAULT;
CREATE INDEX customer_event_waiting ON customer_event (account_id, kind, id) WHERE acknowledged_at IS NULL;
CREATE INDEX customer_event_batch ON customer_event (batch_id) WHERE acknowledged_at IS NULL AND batch_id IS NOT NULL;
CREATE INDEX customer_event_message ON customer_event (message_id);
CREATE INDEX customer_event_held ON customer_event (account_id, leased_until)
    WHERE leased_until IS NOT NULL AND acknowledged_at IS NULL;
CREATE INDEX customer_event_dead ON customer_event (account_id, id) WHERE dead_at IS NOT NULL;
CREATE INDEX customer_event_target ON customer_event (account_id, id)
    WHERE target IS NOT NULL AND acknowledged_at IS NULL;
-- What was put down for another way than the account's own.
CREATE INDEX customer_event_way ON customer_event (account_id, kind, id)
    WHERE way IS NOT NULL AND acknowledged_at IS NULL;
-- Deliveries are listed by account, newest first: beside what waits (customer_event_waiting), what is over.
CREATE INDEX customer_event_done ON customer_event (account_id, kind, id) WHERE acknowledged_at IS NOT NULL;

-- How an account gets its events (no row: pull), and when it is told that its balance is low.
CREATE TABLE event_setting (
    account_id bigint PRIMARY KEY REFERENCES account,
    way text NOT NULL DEFAULT 'pull' CHECK (way IN ('pull', 'webhook', 'bind')),
    balance_below bigint CHECK (balance_below > 0),  -- units that can be spent; NULL: never told
    balance_told boolean NOT NULL DEFAULT false   -- told of, and still below
);
SELECT config_watch('event_setting', 'webhooks', '{balance_told}');

-- How many events of an account nobody took before their time was over, by day.
CREATE TABLE event_lost (
    day date NOT NULL,
    account_id bigint NOT NULL,
    kind text NOT NULL,
    n bigint NOT NULL,
    counted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, account_id, kind)
);

-- A receiver of events. One type of an account goes to one endpoint.
CREATE TABLE webhook (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    url text NOT NULL,                    -- '' for the endpoint `callback`: the message's own
    hosts text[] NOT NULL DEFAULT '{}',   -- of `callback`: what callback_url may name
    events text[] NOT NULL DEFAULT '{}',  -- types; none: all that no other endpoint names
    options jsonb NOT NULL DEFAULT '{}',
    secrets_sealed bytea[] NOT NULL CHECK (cardinality(secrets_sealed) BETWEEN 1 AND 2),
    old_until timestamptz,                -- the second secret signs until then
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    failing_since timestamptz,            -- these three: the last word of the node that pushes
    last_error text NOT NULL DEFAULT '',
    last_ok_at timestamptz,
    UNIQUE (account_id, name)
);
SELECT config_watch('webhook', 'webhooks', '{last_error,failing_since,last_ok_at}');

-- Calls to a receiver: failures one by one, successes summed up by the minute.
CREATE TABLE webhook_attempt (
    id bigint PRIMARY KEY,
    webhook_id bigint NOT NULL,
    at timestamptz NOT NULL,
    calls int NOT NULL,
    events int NOT NULL,
    first_event bigint NOT NULL,
    status smallint NOT NULL,  -- HTTP; 0: no answer
    ms int NOT NULL,           -- of the slowest call
    error text NOT NULL DEFAULT ''
) PARTITION BY RANGE (id);
CREATE TABLE webhook_attempt_99991231 PARTITION OF webhook_attempt DEFAULT;
CREATE INDEX webhook_attempt_webhook ON webhook_attempt (webhook_id, id);
