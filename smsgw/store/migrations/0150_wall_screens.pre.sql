-- Screens on walls that show the board without a person. Each was let in by a code that somebody with the right has made,
-- good once and for minutes; it ends at its time, when somebody ends it, and with who has made it. Of code and token the
-- hashes are kept.
CREATE TABLE wall_screen (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    maker_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    code_sha256 bytea UNIQUE,                -- NULL: used, or over
    code_until timestamptz NOT NULL,
    token_sha256 bytea UNIQUE,               -- NULL: nobody has come with the code yet
    opened_at timestamptz,
    seen_at timestamptz,
    seen_ip inet,
    ended_at timestamptz,
    ended_by text NOT NULL DEFAULT '',
    CHECK ((token_sha256 IS NULL) = (opened_at IS NULL))
);
CREATE INDEX wall_screen_until ON wall_screen (until, id);

UPDATE role SET permissions = permissions || '{wall.edit}' WHERE builtin AND code IN ('ops', 'sysadmin')
    AND NOT 'wall.edit' = ANY (permissions);
