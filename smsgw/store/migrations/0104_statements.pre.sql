-- Who gets an account's monthly statement, and each mail of one: a row is made once for a receiver and a month, and says what
-- has become of it. What broke off after the text went over may have arrived: 'unsure', and nothing sends it again by itself.
CREATE TABLE statement_receiver (
    account_id bigint PRIMARY KEY REFERENCES account,
    emails text[] NOT NULL,
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    since timestamptz[] NOT NULL,        -- of each of them: months that were over by then are not sent
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(since) = cardinality(emails))
);
CREATE TABLE statement_mail (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    month date NOT NULL,                 -- its first day
    receiver text NOT NULL,
    language text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unsure')),
    tries int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    begun_at timestamptz,
    ended_at timestamptz,
    digest text NOT NULL DEFAULT '',     -- SHA-256 of the file that was sent
    said text NOT NULL DEFAULT '',       -- what the mail server, or the network, has said last
    UNIQUE (account_id, month, receiver)
);
CREATE INDEX statement_mail_due ON statement_mail (next_at) WHERE state IN ('waiting', 'sending');
