-- Backups that were made by command: what each became, and whether it was restored for trial with as many rows. The node page
-- cannot look into the folder they lie in, which may be of another machine: this table says what was there.
CREATE TABLE backup (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    file text NOT NULL,
    host text NOT NULL,
    made_by text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'lost')),
    begun_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),   -- whoever makes it said so
    ended_at timestamptz,
    octets bigint NOT NULL DEFAULT 0,
    sha256 text NOT NULL DEFAULT '',
    rows bigint,                                  -- of all tables, as of the moment that it shows
    tables int,
    schema_version int NOT NULL,
    problem text NOT NULL DEFAULT '',
    gone_at timestamptz,                          -- its file was removed for newer ones
    tried_at timestamptz,                         -- restored for trial: the last time
    tried_by text NOT NULL DEFAULT '',
    tried_seconds int,
    tried_well boolean,                           -- each table had as many rows
    tried_problem text NOT NULL DEFAULT '',
    tried_in text NOT NULL DEFAULT ''             -- the folder of a trial under way, or of one that was killed
);
CREATE UNIQUE INDEX backup_one ON backup ((true)) WHERE state = 'running';
CREATE INDEX backup_good ON backup (begun_at) WHERE state = 'done';
INSERT INTO alarm_rule (kind) VALUES ('backup_old') ON CONFLICT DO NOTHING;
