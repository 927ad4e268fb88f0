-- Accounts, their keys and their money.

-- A sending account; accounts form a tree. balance and credit_floor are in billable units.
CREATE TABLE account (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    display_name text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped')),
    balance bigint NOT NULL DEFAULT 0,
    credit_floor bigint NOT NULL DEFAULT 0 CHECK (credit_floor <= 0) CHECK (balance >= credit_floor),
    default_sign text NOT NULL DEFAULT '',
    sign_required boolean NOT NULL DEFAULT true,   -- false: the carrier signs, or the account sends abroad
    extend_code text NOT NULL DEFAULT '' CHECK (extend_code ~ '^[0-9]{0,12}$'),
    unknown_policy text CHECK (unknown_policy IN ('hold', 'hold_short', 'resend')),
    created_at timestamptz NOT NULL DEFAULT now(),
    emergency boolean NOT NULL DEFAULT false,      -- may send on the emergency lane
    parent_id bigint REFERENCES account CHECK (parent_id <> id),
    halted boolean NOT NULL DEFAULT false,         -- stopped itself, or below one that is
    department text NOT NULL DEFAULT '',
    protocols text[] NOT NULL DEFAULT '{http,smpp,cmpp}' CHECK (protocols <@ '{http,smpp,cmpp}'),
    -- units per part, by type
    units_otp smallint NOT NULL DEFAULT 1 CHECK (units_otp BETWEEN 0 AND 1000),
    units_notice smallint NOT NULL DEFAULT 1 CHECK (units_notice BETWEEN 0 AND 1000),
    units_marketing smallint NOT NULL DEFAULT 1 CHECK (units_marketing BETWEEN 0 AND 1000),
    unit_price numeric(8, 4) NOT NULL DEFAULT 0 CHECK (unit_price >= 0),  -- yuan, for statements
    refund_failed boolean NOT NULL DEFAULT false,  -- units of parts that failed at the carrier go back
    quota_day bigint CHECK (quota_day > 0),        -- parts; of the account and all below it
    quota_month bigint CHECK (quota_month > 0),
    rate int NOT NULL DEFAULT 2000 CHECK (rate BETWEEN 1 AND 1000000),  -- messages/s
    ip_allow inet[] NOT NULL DEFAULT '{}',
    starts_on date,                                -- contract, first and last day, in China
    ends_on date,
    stops_at_end boolean NOT NULL DEFAULT true,
    -- networks that are not public and to which events may be pushed, within [webhooks] networks
    webhook_networks inet[] NOT NULL DEFAULT '{}',
    department_id bigint REFERENCES department,
    -- its people rehearse (演练): all that they send goes to the simulated carrier of test keys
    training boolean NOT NULL DEFAULT false,
    CONSTRAINT account_ends_on CHECK (ends_on >= starts_on),
    CONSTRAINT account_starts_on_bounds CHECK (starts_on BETWEEN '2000-01-01' AND '2100-01-01'),
    CONSTRAINT account_ends_on_bounds CHECK (ends_on BETWEEN '2000-01-01' AND '2100-01-01')
);
CREATE INDEX account_parent ON account (parent_id);
CREATE INDEX account_department ON account (department_id) WHERE department_id IS NOT NULL;
SELECT config_watch('account', 'accounts', '{balance}');

-- What a unit costs an account from a moment on (docs/adr/102); the last row is account.unit_price. Rows are written by
-- the trigger alone; none changes once its account has an entry in the ledger.
CREATE TABLE account_price (
    account_id bigint NOT NULL,
    valid_from timestamptz NOT NULL,  -- '-infinity': since there is the account
    price numeric(8, 4) NOT NULL,
    PRIMARY KEY (account_id, valid_from)
);

-- An account that a person may work with.
CREATE TABLE staff_account (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    account_id bigint NOT NULL REFERENCES account,
    PRIMARY KEY (staff_id, account_id)
);

-- A key of an account for the API. The bearer token is kept as SHA-256, and the one before the last rotation stays good
-- until it is retired; the HMAC secrets are sealed (AES-GCM), two of them during rotation.
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
    created_at timestamptz NOT NULL DEFAULT now(),
    old_bearer_sha256 bytea UNIQUE,
    rotated_at timestamptz,
    last_used_at timestamptz,
    last_used_ip inet,
    id bigint GENERATED ALWAYS AS IDENTITY,
    CONSTRAINT api_key_expires_at_bounds CHECK (expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
CREATE UNIQUE INDEX api_key_id ON api_key (id);
SELECT config_watch('api_key', 'keys', '{last_used_at,last_used_ip}');

-- What a request was known by, so that it takes effect once: an idempotency key ('k') or client reference ('r'), in the
-- transaction of the messages and swept after 7 days, or the nonce of a signature ('n'), swept after an hour.
CREATE TABLE request_key (
    account_id bigint NOT NULL,
    kind "char" NOT NULL CHECK (kind IN ('k', 'r', 'n')),
    key text NOT NULL,
    request_sha256 bytea NOT NULL,
    message_id bigint NOT NULL,  -- the first of the call
    answer bytea NOT NULL,       -- the data of the first answer, JSON
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, kind, key)
);
CREATE INDEX request_key_age ON request_key (created_at);
CREATE INDEX request_key_nonces ON request_key (created_at) WHERE kind = 'n';

-- How calls of the API have ended: counted by minute, key, call and code; the last by its request id. Kept for three days.
CREATE TABLE api_call (
    account_id bigint NOT NULL,
    minute timestamptz NOT NULL,
    key_id text NOT NULL,
    call text NOT NULL,  -- method and route
    code text NOT NULL,  -- of the answer
    n int NOT NULL,
    ms_sum bigint NOT NULL,
    ms_most int NOT NULL,
    last_request text NOT NULL,
    PRIMARY KEY (account_id, minute, key_id, call, code)
);
CREATE INDEX api_call_minute ON api_call (minute);

-- A call of the API that was refused, with what was sent, masked: the newest of each key.
CREATE TABLE api_refused (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL,
    key_id text NOT NULL,
    proven boolean NOT NULL,  -- false: who called has not shown to have the key
    at timestamptz NOT NULL,
    request_id text NOT NULL,
    call text NOT NULL,
    status smallint NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,     -- why, as it was answered
    ms int NOT NULL,
    address text NOT NULL,
    body text NOT NULL,
    detail_en text NOT NULL DEFAULT ''
);
CREATE INDEX api_refused_key ON api_refused (key_id, proven, id);
CREATE INDEX api_refused_account ON api_refused (account_id, id);

-- --- Money and quotas ---

-- An entry in the book of an account: units < 0 debit, > 0 credit; the sum of all is the balance.
CREATE TABLE ledger (
    id bigint NOT NULL,   -- debit: batch id; others: an id of their own
    account_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('debit', 'refund', 'topup', 'adjust', 'rebate')),
    units bigint NOT NULL,
    note text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT statement_timestamp(),
    who text,             -- of a top-up: who has done it, …
    balance bigint,       -- … and what came of it
    price numeric(8, 4)   -- of a refund: that of its debit, where that is not the one in force at "at"
);
CREATE INDEX ledger_account ON ledger (account_id, at);
CREATE INDEX ledger_topup ON ledger (at, id) WHERE kind = 'topup';
CREATE INDEX ledger_back ON ledger (at, id) WHERE kind IN ('refund', 'rebate');

-- Parts accepted on a business day for an account together with all below it at that time: what quotas are held against.
CREATE TABLE quota_used (
    account_id bigint NOT NULL,
    day date NOT NULL,
    parts bigint NOT NULL,
    PRIMARY KEY (account_id, day)
);

-- Parts accepted in a month (its first day, in China) for accounts of a department that has a quota, and of those below it.
-- A row comes into being when the first call of the month asks for it, from what the accounts' own books say. Nothing refers
-- to department: who accepts holds locks of accounts, and must not wait for who changes a department.
CREATE TABLE department_used (
    department_id bigint NOT NULL,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    parts bigint NOT NULL,
    PRIMARY KEY (department_id, month)
);

-- What an account has sent and paid on a day, by key (or person) and type; refunds on the day on which they are made.
CREATE TABLE usage_day (
    account_id bigint NOT NULL,
    day date NOT NULL,
    submitter text NOT NULL,
    type text NOT NULL,
    messages bigint NOT NULL,
    parts bigint NOT NULL,
    units bigint NOT NULL,
    refunded bigint NOT NULL,
    PRIMARY KEY (account_id, day, submitter, type)
);

-- Of the sums of a day in usage_day, those that are not at the price with which the day ends: debits before a change on
-- that day, and refunds of debits at another price.
CREATE TABLE usage_price (
    account_id bigint NOT NULL,
    day date NOT NULL,
    submitter text NOT NULL,
    type text NOT NULL,
    price numeric(8, 4) NOT NULL,
    units bigint NOT NULL,
    refunded bigint NOT NULL,
    PRIMARY KEY (account_id, day, submitter, type, price)
);
CREATE INDEX usage_price_day ON usage_price (day);

-- An account is locked before anything is booked on it, and by a change of its price: what was booked before has an
-- earlier time than the change, what is booked afterwards a later one. So its sums of the day until now are at the
-- former price.
CREATE FUNCTION account_priced() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    changed_at CONSTANT timestamptz := clock_timestamp();
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO account_price VALUES (NEW.id, '-infinity', NEW.unit_price);
        RETURN NULL;
    END IF;
    UPDATE account_price SET price = NEW.unit_price
    WHERE account_id = NEW.id AND NOT EXISTS (SELECT FROM ledger l WHERE l.account_id = NEW.id);
    IF NOT FOUND THEN
        INSERT INTO account_price VALUES (NEW.id, changed_at, NEW.unit_price);
        INSERT INTO usage_price AS p (account_id, day, submitter, type, price, units, refunded)
        SELECT u.account_id, u.day, u.submitter, u.type, OLD.unit_price,
               u.units - COALESCE(sum(o.units), 0), u.refunded - COALESCE(sum(o.refunded), 0)
        FROM usage_day u LEFT JOIN usage_price o USING (account_id, day, submitter, type)
        WHERE u.account_id = NEW.id AND u.day = (changed_at AT TIME ZONE 'Asia/Shanghai')::date
        GROUP BY u.account_id, u.day, u.submitter, u.type
        HAVING (u.units, u.refunded) <> (COALESCE(sum(o.units), 0), COALESCE(sum(o.refunded), 0))
        ON CONFLICT (account_id, day, submitter, type, price)
        DO UPDATE SET units = p.units + excluded.units, refunded = p.refunded + excluded.refunded;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER account_made AFTER INSERT ON account FOR EACH ROW EXECUTE FUNCTION account_priced();
CREATE TRIGGER account_priced AFTER UPDATE OF unit_price ON account FOR EACH ROW
    WHEN (OLD.unit_price <> NEW.unit_price) EXECUTE FUNCTION account_priced();

-- A rule by which units are given back of a month that is over (返点). Rules are never changed: of a month the newest holds
-- that begins by then.
CREATE TABLE rebate_rule (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    from_month date NOT NULL CHECK (extract(day FROM from_month) = 1),
    per_thousand int NOT NULL CHECK (per_thousand BETWEEN 0 AND 1000),  -- units for 1000 that were paid for; 0: none
    from_units bigint NOT NULL CHECK (from_units >= 0),  -- less in a month gives nothing
    reason text NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rebate_rule_account ON rebate_rule (account_id, id);

-- A month of an account that was settled by its rule: once, whatever comes of it.
CREATE TABLE rebate (
    account_id bigint NOT NULL REFERENCES account,
    month date NOT NULL,
    rule_id bigint NOT NULL REFERENCES rebate_rule,
    paid bigint NOT NULL,             -- debits of the month less refunds
    units bigint NOT NULL,
    entry_id bigint NOT NULL UNIQUE,  -- of the ledger
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, month)
);

-- Who gets an account's monthly statement by mail.
CREATE TABLE statement_receiver (
    account_id bigint PRIMARY KEY REFERENCES account,
    emails text[] NOT NULL,
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    since timestamptz[] NOT NULL,  -- of each of them: months that were over by then are not sent
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(since) = cardinality(emails))
);

-- A mail of a statement: made once for a receiver and a month, it says what has become of it. What broke off after the
-- text went over may have arrived: 'unsure', and nothing sends it again by itself.
CREATE TABLE statement_mail (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    month date NOT NULL,              -- its first day
    receiver text NOT NULL,
    language text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unsure')),
    tries int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    begun_at timestamptz,
    ended_at timestamptz,
    digest text NOT NULL DEFAULT '',  -- SHA-256 of the file that was sent
    said text NOT NULL DEFAULT '',    -- what the mail server, or the network, has said last
    UNIQUE (account_id, month, receiver)
);
CREATE INDEX statement_mail_due ON statement_mail (next_at) WHERE state IN ('waiting', 'sending');

-- Something that people were told of an account: each end of a contract, and each volume (what there was after a top-up,
-- the limit of a month), once at each distance in days or at each share in percent. No foreign key: to look at it would lock
-- the row that the acceptance of the account's messages locks.
CREATE TABLE account_reminder (
    account_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('contract', 'balance', 'quota')),
    about text NOT NULL,             -- the day of the end; the top-up (0: none); the month
    level int NOT NULL,              -- days before the end; percent that are used
    most bigint NOT NULL DEFAULT 0,  -- the largest volume at which it was told
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, kind, about, level)
);

-- --- Outside mainland China (core/abroad.py) ---

-- How much an account has sent abroad in a minute.
CREATE TABLE abroad_minute (
    account_id bigint NOT NULL REFERENCES account,
    minute timestamptz NOT NULL,
    messages int NOT NULL,
    refused int NOT NULL,
    PRIMARY KEY (account_id, minute)
) WITH (fillfactor = 70);

-- A country that an account sends to.
CREATE TABLE abroad_country (
    account_id bigint NOT NULL REFERENCES account,
    country text NOT NULL,          -- core.numbers.country
    first_at timestamptz NOT NULL,  -- since the last pause of 30 days
    last_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, country)
) WITH (fillfactor = 70);
