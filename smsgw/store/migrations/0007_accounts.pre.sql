-- Accounts as a tree, with what they may use, what they pay, and how much they may send.
ALTER TABLE account
    ADD COLUMN parent_id bigint REFERENCES account CHECK (parent_id <> id),
    ADD COLUMN halted boolean NOT NULL DEFAULT false,      -- stopped itself, or below one that is
    ADD COLUMN department text NOT NULL DEFAULT '',
    ADD COLUMN protocols text[] NOT NULL DEFAULT '{http,smpp,cmpp}' CHECK (protocols <@ '{http,smpp,cmpp}'),
    ADD COLUMN units_otp smallint NOT NULL DEFAULT 1 CHECK (units_otp BETWEEN 0 AND 1000),  -- per part, by type
    ADD COLUMN units_notice smallint NOT NULL DEFAULT 1 CHECK (units_notice BETWEEN 0 AND 1000),
    ADD COLUMN units_marketing smallint NOT NULL DEFAULT 1 CHECK (units_marketing BETWEEN 0 AND 1000),
    ADD COLUMN unit_price numeric(8, 4) NOT NULL DEFAULT 0 CHECK (unit_price >= 0),  -- yuan, for statements
    ADD COLUMN refund_failed boolean NOT NULL DEFAULT false,  -- units of parts that failed at the carrier go back
    ADD COLUMN quota_day bigint CHECK (quota_day > 0),     -- parts; of the account and all below it
    ADD COLUMN quota_month bigint CHECK (quota_month > 0),
    ADD COLUMN rate int NOT NULL DEFAULT 2000 CHECK (rate BETWEEN 1 AND 1000000),  -- messages/s
    ADD COLUMN ip_allow inet[] NOT NULL DEFAULT '{}',
    ADD COLUMN starts_on date,                             -- contract, first and last day, in China
    ADD COLUMN ends_on date,
    ADD COLUMN stops_at_end boolean NOT NULL DEFAULT true,
    ADD CONSTRAINT account_ends_on CHECK (ends_on >= starts_on);
UPDATE account SET halted = status = 'stopped';
CREATE INDEX account_parent ON account (parent_id);

-- Parts accepted by business day, of an account together with all below it at that time: what quotas are held against.
CREATE TABLE quota_used (
    account_id bigint NOT NULL,
    day date NOT NULL,
    parts bigint NOT NULL,
    PRIMARY KEY (account_id, day)
);
-- What was accepted and paid by account, key (or person) and type; refunds on the day on which they are made.
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

-- Frozen at accept: units of failed parts go back.
ALTER TABLE message ADD COLUMN refund_failed boolean NOT NULL DEFAULT false;
