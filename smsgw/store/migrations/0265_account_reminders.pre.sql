-- What people were told of accounts: each end of a contract, and each volume (what there was after a top-up, the limit of
-- a month), once at each distance in days or at each share in percent. No foreign key: to look at it would lock the row
-- that the acceptance of the account's messages locks.
CREATE TABLE account_reminder (
    account_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('contract', 'balance', 'quota')),
    about text NOT NULL,                     -- the day of the end; the top-up (0: none); the month
    level int NOT NULL,                      -- days before the end; percent that are used
    most bigint NOT NULL DEFAULT 0,          -- the largest volume at which it was told
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, kind, about, level)
);
-- Last, as it keeps everybody out: for a moment, old rows are looked at in 0266.
ALTER TABLE inbox DROP CONSTRAINT inbox_kind_check;
ALTER TABLE inbox ADD CONSTRAINT inbox_kind_check
    CHECK (kind IN ('notice', 'alarm', 'job', 'security', 'task', 'sign', 'inbound', 'contract', 'balance', 'quota'))
    NOT VALID;
