-- What carriers are asked to lift: a number that one of them keeps from getting anything.
CREATE TABLE carrier_lift (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number bigint NOT NULL,                      -- E.164 digits
    carrier text NOT NULL,
    account_id bigint NOT NULL DEFAULT 0,        -- whose messages it is about; 0: everybody's
    code text NOT NULL DEFAULT '',               -- what the carrier has said, as it came
    reason text NOT NULL,                        -- why it should be lifted
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'sent', 'lifted', 'refused')),
    answer text NOT NULL DEFAULT '',             -- what was said at the last step
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    decided_at timestamptz,
    changed_by text NOT NULL
);
CREATE UNIQUE INDEX carrier_lift_open ON carrier_lift (number, account_id) WHERE state IN ('asked', 'sent');
CREATE INDEX carrier_lift_account ON carrier_lift (account_id, id);
