-- Which failures do not count against a channel (剔除): versions, each from a day on, none of them ever changed. Of a day
-- the newest version counts that holds by then; as none begins before the day it is made on, days that are over keep theirs.
CREATE TABLE exclusion_version (
    version int PRIMARY KEY,
    from_day date NOT NULL,
    reason text NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE exclusion (
    version int NOT NULL REFERENCES exclusion_version,
    kind text NOT NULL CHECK (kind IN ('class', 'code')),
    value text NOT NULL,                 -- a class of failures, or a carrier's code without its error number
    category text NOT NULL,
    PRIMARY KEY (version, kind, value)
);

CREATE FUNCTION exclusions_on(at date) RETURNS int LANGUAGE sql STABLE AS $$
    SELECT max(version) FROM exclusion_version WHERE from_day <= at
$$;
-- The category by which the failure of a part does not count on a day; NULL: it does. A code goes before its class.
CREATE FUNCTION excluded_as(at date, failure text, raw text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT category FROM exclusion
    WHERE version = exclusions_on(at)
      AND (kind = 'code' AND value = upper(trim(split_part(raw, '/', 1))) OR kind = 'class' AND value = failure)
    ORDER BY kind DESC LIMIT 1
$$;

-- Messages that do not count, of each day; all of the failed parts of each are left out, the first says as what.
CREATE TABLE left_out_day (
    day date NOT NULL,
    account_id bigint NOT NULL,
    channel_id int NOT NULL,
    carrier text NOT NULL,
    category text NOT NULL,
    version int NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (day, account_id, channel_id, carrier, category)
);
