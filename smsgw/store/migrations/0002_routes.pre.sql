-- Route tables: each published document is a version; the newest is in force. A rollback publishes an old one again.
CREATE TABLE route_version (
    version int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    document jsonb NOT NULL,
    note text NOT NULL DEFAULT '',
    actor text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);

-- Numbers whose carrier is not that of their segment: ported, or a segment the package does not know.
CREATE TABLE number_override (
    prefix text PRIMARY KEY CHECK (prefix ~ '^1[0-9]{2,10}$'),  -- national digits; 11 of them are one number
    carrier text NOT NULL CHECK (carrier IN ('CMCC', 'CUCC', 'CTCC', 'CBN')),
    province text NOT NULL DEFAULT '',
    source text NOT NULL CHECK (source IN ('import', 'learned')),
    learned_code text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now()
);
