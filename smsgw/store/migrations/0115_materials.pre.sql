-- Pictures, sounds and films that people keep for messages: made anew or emptied of all else when they come, and usable
-- once somebody else has looked at them. The octets lie in the file store.
CREATE TABLE material (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    kind text NOT NULL CHECK (kind IN ('picture', 'audio', 'video')),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 60),
    tags text[] NOT NULL DEFAULT '{}',
    file_id bigint NOT NULL,
    sha256 bytea NOT NULL,                       -- of what is kept
    media_type text NOT NULL,
    size bigint NOT NULL,
    width int NOT NULL DEFAULT 0,                -- pixels; 0: it has none
    height int NOT NULL DEFAULT 0,
    millis int NOT NULL DEFAULT 0,               -- how long it plays; 0: it stands still
    thumbnail bytea,                             -- WebP; none of what is heard or moves
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'approved', 'rejected')),
    answer text NOT NULL DEFAULT '',
    taken int NOT NULL DEFAULT 0,                -- how often it was taken away to be used
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    UNIQUE (account_id, sha256)
);
CREATE INDEX material_file ON material (file_id);
