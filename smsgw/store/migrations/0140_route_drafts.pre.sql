-- A route table that a person is working on: the whole document, and the version that it was made from. What is published
-- is route_version; a draft of a version that is not the newest any more is brought together with it first.
CREATE TABLE route_draft (
    owner_id bigint PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    base int NOT NULL,                       -- 0: before anything was published
    document text NOT NULL CHECK (octet_length(document) <= 4194304),
    revision int NOT NULL DEFAULT 1,         -- moves with every change: who has seen an older one changes nothing
    changed_at timestamptz NOT NULL DEFAULT now()
);
