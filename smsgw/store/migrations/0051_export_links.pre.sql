-- Links to the files of exports: each opens one file once, in the session for which it was made.
CREATE TABLE export_link (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    job_id bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    session_sha256 bytea NOT NULL CHECK (octet_length(session_sha256) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX export_link_expiry ON export_link (expires_at);
CREATE INDEX export_link_job ON export_link (job_id);
CREATE INDEX job_submitter ON job (submitter, id);
-- The log is read by time, and by who it was.
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_actor ON audit (actor, at, id);
