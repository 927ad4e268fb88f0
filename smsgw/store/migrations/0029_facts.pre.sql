-- Carriers use ids again: two reports under one id that are about two numbers are two, and so are two messages from
-- phones whose content differs.
ALTER TABLE receipt_orphan
    DROP CONSTRAINT receipt_orphan_pkey,
    ADD PRIMARY KEY (channel_id, carrier_id, code, number);

ALTER TABLE mo_part
    ADD COLUMN digest text GENERATED ALWAYS AS (
        md5(number || chr(31) || to_code || chr(31) || COALESCE(ref::text, '') || chr(31) || total::text || chr(31)
            || part::text || chr(31) || content)
    ) STORED;
ALTER TABLE mo_part
    DROP CONSTRAINT mo_part_pkey,
    ADD PRIMARY KEY (channel_id, carrier_id, digest);

-- What a carrier has said and the ledger has refused as often as it was tried: kept for an operator.
CREATE TABLE parked_fact (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node int NOT NULL,
    kind text NOT NULL,                  -- answer, given_back, report, inbound
    fact text NOT NULL,                  -- JSON in ASCII: it may hold what jsonb and text cannot
    error text NOT NULL,                 -- why, without its values
    parked_at timestamptz NOT NULL DEFAULT now()
);
