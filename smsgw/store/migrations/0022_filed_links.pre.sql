-- Links that accounts have filed (链接报备): a domain, or the beginning of a path; account_id 0: everybody's. What each
-- carrier says of it; without a word of a carrier it is pending there.
CREATE TABLE filed_link (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL DEFAULT 0,
    target text NOT NULL,                    -- host in lower case, then the path
    icp text NOT NULL DEFAULT '',            -- the site's licence number
    note text NOT NULL DEFAULT '',           -- what it shows, and what proves it
    actor text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (target, account_id)
);
CREATE TABLE filed_link_state (
    link_id bigint NOT NULL REFERENCES filed_link ON DELETE CASCADE,
    carrier text NOT NULL CHECK (carrier IN ('CMCC', 'CUCC', 'CTCC', 'CBN')),
    state text NOT NULL CHECK (state IN ('pending', 'submitted', 'registered', 'refused')),
    note text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (link_id, carrier)
);
