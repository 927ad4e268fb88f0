-- How an account gets its events (no row: pull), and when it is told that its balance is low.
CREATE TABLE event_setting (
    account_id bigint PRIMARY KEY REFERENCES account,
    way text NOT NULL DEFAULT 'pull' CHECK (way IN ('pull', 'webhook', 'bind')),
    balance_below bigint CHECK (balance_below > 0),  -- units that can be spent; NULL: never told
    balance_told boolean NOT NULL DEFAULT false      -- told of, and still below
);

-- Receivers of events. One type of an account goes to one endpoint.
CREATE TABLE webhook (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    url text NOT NULL,                               -- '' for the endpoint `callback`: the message's own
    hosts text[] NOT NULL DEFAULT '{}',              -- of `callback`: what callback_url may name
    events text[] NOT NULL DEFAULT '{}',             -- types; none: all that no other endpoint names
    options jsonb NOT NULL DEFAULT '{}',
    secrets_sealed bytea[] NOT NULL CHECK (cardinality(secrets_sealed) BETWEEN 1 AND 2),
    old_until timestamptz,                           -- the second secret signs until then
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    failing_since timestamptz,                       -- these three: the last word of the node that pushes
    last_error text NOT NULL DEFAULT '',
    last_ok_at timestamptz,
    UNIQUE (account_id, name)
);

-- Calls to receivers: failures one by one, successes summed up by the minute. Partitions as for events.
CREATE TABLE webhook_attempt (
    id bigint PRIMARY KEY,
    webhook_id bigint NOT NULL,
    at timestamptz NOT NULL,
    calls int NOT NULL,
    events int NOT NULL,
    first_event bigint NOT NULL,
    status smallint NOT NULL,                        -- HTTP; 0: no answer
    ms int NOT NULL,                                 -- of the slowest call
    error text NOT NULL DEFAULT ''
) PARTITION BY RANGE (id);
CREATE INDEX webhook_attempt_webhook ON webhook_attempt (webhook_id, id);

-- acknowledged_at: no longer offered, because it was delivered or (dead_at) given up.
-- leased_until: not offered before; a puller's lease, or the time of the next try.
ALTER TABLE customer_event
    ADD COLUMN way text,                             -- NULL: the account's; otherwise this one (redelivery)
    ADD COLUMN target text,                          -- callback_url of the message
    ADD COLUMN attempts smallint NOT NULL DEFAULT 0,
    ADD COLUMN dead_at timestamptz,
    ADD COLUMN problem text NOT NULL DEFAULT '',     -- why the last try failed
    ADD COLUMN done_by text NOT NULL DEFAULT '',     -- the way by which it was delivered
    ADD COLUMN detail jsonb;                         -- of kinds other than report and mo
CREATE INDEX customer_event_held ON customer_event (account_id, leased_until)
    WHERE leased_until IS NOT NULL AND acknowledged_at IS NULL;
CREATE INDEX customer_event_dead ON customer_event (account_id, id) WHERE dead_at IS NOT NULL;
CREATE INDEX customer_event_target ON customer_event (account_id, id)
    WHERE target IS NOT NULL AND acknowledged_at IS NULL;

-- Events that nobody took before their time was over.
CREATE TABLE event_lost (
    day date NOT NULL,
    account_id bigint NOT NULL,
    kind text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (day, account_id, kind)
);

ALTER TABLE message ADD COLUMN callback_url text NOT NULL DEFAULT '';

-- What subscribers of channel.state were last told.
CREATE TABLE channel_told (
    channel_id int PRIMARY KEY REFERENCES channel ON DELETE CASCADE,
    state text NOT NULL
);
