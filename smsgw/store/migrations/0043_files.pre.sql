-- Stored files (platform/files). The octets lie in the data directory of the node, by their hash; several rows may mean
-- the same octets. (What a row of upload says of node, size, name and time is read by the release before, too; its files
-- get their rows here when their node starts.)
CREATE TABLE file (
    id bigint PRIMARY KEY,
    node int NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    media_type text NOT NULL,
    size bigint NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    account_id bigint REFERENCES account,         -- whose it is; NULL: the operator's
    submitter text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX file_node ON file (node, expires_at);
CREATE INDEX file_content ON file (sha256);
