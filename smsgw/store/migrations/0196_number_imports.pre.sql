-- Files of prefixes and ported numbers that were brought in, with what each entry was before, so that a file can be taken back.
CREATE TABLE number_import (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,                  -- of the file
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    added int NOT NULL,
    changed int NOT NULL,
    same int NOT NULL,
    undone_by text NOT NULL DEFAULT '',
    undone_at timestamptz,
    undone int NOT NULL DEFAULT 0,
    kept int NOT NULL DEFAULT 0          -- entries that something else has changed since
);
CREATE TABLE number_import_entry (
    import_id bigint NOT NULL REFERENCES number_import ON DELETE CASCADE,
    prefix text NOT NULL,
    carrier text NOT NULL,
    province text NOT NULL,
    at timestamptz NOT NULL,             -- as the entry has it: who has written it since has another one
    was_carrier text,                    -- NULL: there was none
    was_province text,
    was_source text,
    was_code text,
    was_at timestamptz,
    PRIMARY KEY (import_id, prefix)
);
