-- Restores of backups into this database. A node compares the newest life with the one that its data directory was of: what lies
-- there from before (journal, spool) is about a past that the database does not have.
CREATE TABLE restoration (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    life text NOT NULL UNIQUE CHECK (life ~ '^[0-9a-f]{32}$'),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    shows timestamptz,                   -- the moment of the backup; NULL: it does not say
    file text NOT NULL,
    sha256 text NOT NULL,
    host text NOT NULL,
    made_by text NOT NULL,
    seconds int NOT NULL,
    done jsonb NOT NULL                  -- how many of what were set so that nothing is sent by itself
);
INSERT INTO alarm_rule (kind) VALUES ('restored_undecided') ON CONFLICT DO NOTHING;
