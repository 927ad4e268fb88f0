-- Statistics.

-- A count of the flow by minute, node, account, channel and metric, written in the transaction that it counts.
CREATE TABLE stat_minute (
    minute timestamptz NOT NULL,
    node int NOT NULL,
    account_id bigint NOT NULL,  -- 0: not known there
    channel_id int NOT NULL,     -- 0: none
    metric text NOT NULL,        -- accepted, submitted, delivered, failed, unknown, mo, …
    n bigint NOT NULL,
    PRIMARY KEY (minute, node, account_id, channel_id, metric)
);

-- Messages by day of acceptance and by what people ask for; filled from message and customer_event by the roll-up, at most a
-- minute behind. status 'accepted' counts every message once, the others its end.
CREATE TABLE stat_day (
    day date NOT NULL,
    account_id bigint NOT NULL,
    type text NOT NULL,
    sign text NOT NULL,
    channel_id int NOT NULL,  -- of the last attempt; 0: accepted rows, and what was never claimed
    carrier text NOT NULL,
    province text NOT NULL,
    origin text NOT NULL,
    status text NOT NULL,
    messages bigint NOT NULL,
    parts bigint NOT NULL,
    units bigint NOT NULL,    -- billable parts, before refunds
    PRIMARY KEY (day, account_id, type, sign, channel_id, carrier, province, origin, status)
);

-- The one row: how far the roll-up has come, and up to which day events and records have been removed: days that cannot be
-- counted anew, or compared, any more.
CREATE TABLE stat_cursor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    message_id bigint NOT NULL,
    event_id bigint NOT NULL,
    recounted date NOT NULL,  -- days before this one have had their last recount
    events_gone date NOT NULL DEFAULT '2024-01-01',
    records_gone date NOT NULL DEFAULT '2024-01-01'
);
INSERT INTO stat_cursor VALUES (true, 0, 0, '2024-01-01');

-- A day or month of an account by one dimension: reports ask for one at a time, so that no page adds the combinations of
-- all (docs/adr/062).
CREATE TABLE stat_sum (
    span text NOT NULL CHECK (span IN ('day', 'month')),
    dimension text NOT NULL,  -- '': all of the account
    day date NOT NULL,        -- of a month its first
    account_id bigint NOT NULL,
    value text NOT NULL,
    status text NOT NULL,
    messages bigint NOT NULL,
    parts bigint NOT NULL,
    units bigint NOT NULL,
    PRIMARY KEY (span, dimension, day, account_id, value, status)
);

-- Whatever changes stat_day changes the sums in the same transaction; nobody else writes them.
CREATE FUNCTION stat_sum_keep() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    sense int := CASE TG_NAME WHEN 'stat_sum_less' THEN -1 WHEN 'stat_sum_none' THEN -1 ELSE 1 END;
BEGIN
    INSERT INTO stat_sum AS t (span, dimension, day, account_id, value, status, messages, parts, units)
    SELECT s.span,
           CASE WHEN type IS NOT NULL THEN 'type' WHEN sign IS NOT NULL THEN 'sign'
                WHEN channel_id IS NOT NULL THEN 'channel' WHEN carrier IS NOT NULL THEN 'carrier'
                WHEN province IS NOT NULL THEN 'province' WHEN origin IS NOT NULL THEN 'origin' ELSE '' END,
           date_trunc(s.span, day)::date, account_id, COALESCE(type, sign, channel_id::text, carrier, province, origin, ''),
           status, sense * sum(messages), sense * sum(parts), sense * sum(units)
    FROM changed CROSS JOIN (VALUES ('day'), ('month')) s (span)
    GROUP BY s.span, date_trunc(s.span, day), account_id, status,
             GROUPING SETS ((), (type), (sign), (channel_id), (carrier), (province), (origin))
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (span, dimension, day, account_id, value, status) DO UPDATE
    SET messages = t.messages + excluded.messages, parts = t.parts + excluded.parts, units = t.units + excluded.units;
    IF sense < 0 THEN
        DELETE FROM stat_sum t USING (SELECT DISTINCT day FROM changed) c
        WHERE t.day IN (c.day, date_trunc('month', c.day)::date) AND t.messages = 0 AND t.parts = 0 AND t.units = 0
              AND t.span IN ('day', 'month') AND t.dimension IN ('', 'type', 'sign', 'channel', 'carrier', 'province', 'origin');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER stat_sum_new AFTER INSERT ON stat_day
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION stat_sum_keep();
CREATE TRIGGER stat_sum_less AFTER UPDATE ON stat_day
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION stat_sum_keep();
CREATE TRIGGER stat_sum_more AFTER UPDATE ON stat_day
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION stat_sum_keep();
CREATE TRIGGER stat_sum_none AFTER DELETE ON stat_day
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION stat_sum_keep();

-- Messages by day of acceptance and by who has sent: people, keys and partners, as the messages name them.
CREATE TABLE stat_person (
    day date NOT NULL,
    account_id bigint NOT NULL,
    submitter text NOT NULL,
    origin text NOT NULL,
    status text NOT NULL,
    messages bigint NOT NULL,
    parts bigint NOT NULL,
    units bigint NOT NULL,
    PRIMARY KEY (day, account_id, submitter, origin, status)
);

-- What a customer was last told of a message whose events retention removes while another report may still come: it takes
-- the place of that end in the figures.
CREATE TABLE stat_end (
    message_id bigint PRIMARY KEY,
    status text NOT NULL
);

-- Reports that customers' systems have acknowledged, by the day on which their messages were accepted (docs/adr/076), so that
-- the figures outlive events and records.
CREATE TABLE acknowledged_day (
    day date NOT NULL,
    account_id bigint NOT NULL,
    origin text NOT NULL,       -- api, smpp, cmpp
    messages bigint NOT NULL,   -- whose end the customer's system has acknowledged
    delivered bigint NOT NULL,  -- of them, acknowledged as delivered
    PRIMARY KEY (day, account_id, origin)
);
CREATE INDEX acknowledged_day_account ON acknowledged_day (account_id, day);

-- What the last comparison of a day's figures with its records has found, or of a month's with its days; and the day's
-- account: what was accepted is what was submitted, was refused for a reason, or is held.
CREATE TABLE figure_check (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    span text NOT NULL CHECK (span IN ('day', 'month')),
    day date NOT NULL,           -- of a month its first
    checked_at timestamptz NOT NULL,
    compared int NOT NULL,       -- figures; 0: reports still come, the account alone
    different int NOT NULL,
    differences jsonb NOT NULL,  -- the first of them
    accepted bigint NOT NULL,    -- by the statistics
    submitted bigint NOT NULL,   -- by the records, as the two that follow
    refused bigint NOT NULL,
    held bigint NOT NULL,
    UNIQUE (span, day)
);
CREATE INDEX figure_check_wrong ON figure_check (day) WHERE different > 0 OR accepted <> submitted + refused + held;

-- --- Failures that do not count ---

-- A version of which failures do not count against a channel (剔除), from a day on, never changed. Of a day the newest version
-- counts that holds by then; as none begins before the day it is made on, days that are over keep theirs.
CREATE TABLE exclusion_version (
    version int PRIMARY KEY,
    from_day date NOT NULL,
    reason text NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- A failure that does not count, in a version.
CREATE TABLE exclusion (
    version int NOT NULL REFERENCES exclusion_version,
    kind text NOT NULL CHECK (kind IN ('class', 'code')),
    value text NOT NULL,  -- a class of failures, or a carrier's code without its error number
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

-- Messages that do not count, of a day; all of the failed parts of each are left out, the first says as what.
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
