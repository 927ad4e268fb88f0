-- What is known of numbers (空号、停机 …): from carriers' answers and reports, or imported. A removed entry stays for a
-- while as the news of its removal. Writers take turns (store/numberstatus.py), so versions become visible in order.
CREATE SEQUENCE number_status_version;
CREATE TABLE number_status (
    number bigint PRIMARY KEY,               -- E.164 digits
    state text NOT NULL CHECK (state IN ('empty', 'live', 'suspended', 'silent', 'risky')),
    source text NOT NULL CHECK (source IN ('report', 'import')),
    code text NOT NULL DEFAULT '',           -- the carrier's, as it came
    at timestamptz NOT NULL,                 -- when it was so
    removed_at timestamptz,
    version bigint NOT NULL DEFAULT nextval('number_status_version')
);
CREATE UNIQUE INDEX number_status_version_key ON number_status (version);
CREATE INDEX number_status_old ON number_status (at);
