-- Who has agreed to get marketing of an account, how that is proven, and what was withdrawn. A row is never removed,
-- nor is what it proves ever changed: each entry is a row, of which one is in force.
-- Writers take turns (store/config/consents.py), so versions become visible in their order.
CREATE SEQUENCE consent_version;
CREATE TABLE consent (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    number bigint NOT NULL,                      -- E.164 digits
    source text NOT NULL CHECK (source IN ('paper', 'web', 'app', 'sms', 'call', 'other')),
    wording text NOT NULL DEFAULT '',            -- what was agreed to, or its version
    proof text NOT NULL,                         -- where it can be looked at
    given_at timestamptz NOT NULL,
    entered_by text NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_at timestamptz,
    withdrawn_by text NOT NULL DEFAULT '',
    withdrawal text NOT NULL DEFAULT '',         -- how it was
    replaced boolean NOT NULL DEFAULT false,     -- it was not the owner: a newer proof has taken its place
    version bigint NOT NULL DEFAULT nextval('consent_version')
);
CREATE UNIQUE INDEX consent_in_force ON consent (account_id, number) WHERE withdrawn_at IS NULL;
CREATE UNIQUE INDEX consent_version_key ON consent (version);
CREATE INDEX consent_number ON consent (number, account_id, id);
CREATE INDEX consent_account ON consent (account_id, id);
-- Version of the ledger up to which waiting messages have been recalled.
INSERT INTO job_position VALUES ('consent', 0);
