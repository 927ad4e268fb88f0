-- Documents that prove filed links, for a carrier or for all.
CREATE TABLE filed_link_proof (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    link_id bigint NOT NULL REFERENCES filed_link ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('icp', 'license', 'authorization', 'page', 'receipt', 'other')),
    carrier text NOT NULL DEFAULT '',        -- that it is meant for; empty: all
    file_id bigint NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX filed_link_proof_link ON filed_link_proof (link_id, id);
CREATE INDEX filed_link_proof_file ON filed_link_proof (file_id);
