-- What proves the result of a part: the carrier's PDU as it came, or who has decided. Written by the statement that writes
-- the result, never changed; ids decide the day, by the clock of this server, so that a day is over once it is over.
CREATE TABLE evidence (
    id bigint NOT NULL DEFAULT
        ((extract(epoch FROM now() - timestamptz '2024-01-01 00:00:00+00') * 1000)::bigint << 22),  -- when it was written
    message_id bigint NOT NULL,
    part smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('report', 'operator')),
    state smallint NOT NULL,
    channel_id int NOT NULL,             -- 0: none
    carrier_id text NOT NULL,
    code text NOT NULL,
    at timestamptz NOT NULL,             -- when it came, or was decided
    pdu bytea,                           -- octets as they came; NULL: none, or forgotten since
    digest bytea NOT NULL,               -- SHA-256 of them
    decided_by text NOT NULL DEFAULT ''
) PARTITION BY RANGE (id);
CREATE INDEX evidence_message ON evidence (message_id);
CREATE TABLE evidence_99991231 PARTITION OF evidence DEFAULT;

-- The root of the tree over a day's evidence, chained and signed with a key that is not in the database.
CREATE TABLE evidence_root (
    day date PRIMARY KEY,
    leaves bigint NOT NULL,
    root bytea NOT NULL,
    made_at timestamptz NOT NULL,
    key text NOT NULL,
    mac bytea NOT NULL                   -- over day, leaves, root, time and the mac of the day before
);

ALTER TABLE receipt_orphan ADD COLUMN pdu bytea NOT NULL DEFAULT '';
