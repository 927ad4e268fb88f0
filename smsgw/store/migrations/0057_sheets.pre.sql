-- Tables that people upload in the portal (platform/sheets): how each is read; the octets are the file store's, under
-- the same id. What has become of each row of one stands with the job that brought it in.
CREATE TABLE sheet (
    id bigint PRIMARY KEY,
    node int NOT NULL,
    purpose text NOT NULL,                       -- what it is to be brought into
    name text NOT NULL,
    form jsonb NOT NULL,
    columns text[] NOT NULL,
    first_rows jsonb NOT NULL,
    row_count int NOT NULL,
    submitter text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sheet_expiry ON sheet (expires_at);

CREATE TABLE sheet_result (
    job_id bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    line int NOT NULL,                           -- as the program of whoever has made the table numbers it
    outcome text NOT NULL CHECK (outcome IN ('created', 'skipped', 'wrong')),
    key text NOT NULL DEFAULT '',                -- what the row is called by: of people the login
    name text NOT NULL DEFAULT '',
    row_id bigint,                               -- what was made of it
    said text NOT NULL DEFAULT '',               -- why nothing was
    said_en text NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, line)
);
