-- Rebates (返点): units given back of a month that is over, by a rule. Rules are never changed: of a month the newest holds
-- that begins by then. A month of an account is settled once, whatever comes of it.
CREATE TABLE rebate_rule (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    from_month date NOT NULL CHECK (extract(day FROM from_month) = 1),
    per_thousand int NOT NULL CHECK (per_thousand BETWEEN 0 AND 1000),   -- units for 1000 that were paid for; 0: none
    from_units bigint NOT NULL CHECK (from_units >= 0),                  -- less in a month gives nothing
    reason text NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rebate_rule_account ON rebate_rule (account_id, id);
CREATE TABLE rebate (
    account_id bigint NOT NULL REFERENCES account,
    month date NOT NULL,
    rule_id bigint NOT NULL REFERENCES rebate_rule,
    paid bigint NOT NULL,                -- debits of the month less refunds
    units bigint NOT NULL,
    entry_id bigint NOT NULL UNIQUE,     -- of the ledger
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, month)
);
-- Last, as it keeps everybody out: for a moment, old rows are looked at in 0109.
ALTER TABLE ledger DROP CONSTRAINT ledger_kind_check;
ALTER TABLE ledger ADD CONSTRAINT ledger_kind_check
    CHECK (kind IN ('debit', 'refund', 'topup', 'adjust', 'rebate')) NOT VALID;
