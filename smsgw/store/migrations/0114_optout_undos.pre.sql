-- Wishes to undo opt-outs: each with the file that proves that the owner wants it, and decided by a second person.
CREATE TABLE optout_undo (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number bigint NOT NULL,                      -- E.164 digits
    account_id bigint NOT NULL,                  -- with type and sign the scope of the opt-out; 0: everybody's
    type text NOT NULL,
    sign text NOT NULL,
    entry bigint NOT NULL,                       -- its version: an opt-out that has come anew is not meant
    opted_out_at timestamptz NOT NULL,
    reason text NOT NULL,
    proof_file bigint NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'passed', 'rejected')),
    answer text NOT NULL DEFAULT '',
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz
);
CREATE UNIQUE INDEX optout_undo_open ON optout_undo (number, account_id, type, sign) WHERE state = 'waiting';
CREATE INDEX optout_undo_account ON optout_undo (account_id, id);
CREATE INDEX optout_undo_file ON optout_undo (proof_file);
