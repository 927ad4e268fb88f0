-- The daily health mail: who gets it and when, and each mail of one. A row is made once for a receiver and a day, whichever node
-- makes it; after a stop one mail tells of all days since the one before ("first" to "day"). What somebody has asked for beside
-- these says who. And how much disks and database have held by day, for the forecast.
CREATE TABLE health_plan (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    emails text[] NOT NULL,
    since timestamptz[] NOT NULL,        -- of each of them: days whose mail was due by then are not told
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    hour smallint NOT NULL CHECK (hour BETWEEN 0 AND 23),  -- China
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(since) = cardinality(emails))
);
CREATE TABLE health_mail (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    first date NOT NULL,
    day date NOT NULL CHECK (day >= first),
    receiver text NOT NULL,
    language text NOT NULL,
    asked_by text NOT NULL DEFAULT '',   -- empty: it went by itself
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unsure')),
    tries int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    begun_at timestamptz,
    ended_at timestamptz,
    digest text NOT NULL DEFAULT '',     -- SHA-256 of the text that was sent
    said text NOT NULL DEFAULT ''        -- what the mail server, or the network, has said last
);
CREATE UNIQUE INDEX health_mail_once ON health_mail (day, receiver) WHERE asked_by = '';
CREATE INDEX health_mail_due ON health_mail (next_at) WHERE state IN ('waiting', 'sending');
CREATE TABLE size_day (
    object text NOT NULL,                -- 'database', or 'node/N/folder'
    day date NOT NULL,
    used bigint NOT NULL,                -- octets, at the last look of the day
    free bigint,                         -- NULL: it is not known
    PRIMARY KEY (object, day)
);
