-- Reports ask for one dimension at a time: days and months of each account are added up by each of them beforehand, so
-- that no page adds the combinations of all (docs/adr/062).

-- Each day whose reports are still there is counted once more, by night, for who has sent. First of all, as a roll-up
-- has this row before it comes to stat_day.
UPDATE stat_cursor SET recounted = '2024-01-01';

CREATE TABLE stat_sum (
    span text NOT NULL CHECK (span IN ('day', 'month')),
    dimension text NOT NULL,             -- '': all of the account
    day date NOT NULL,                   -- of a month its first
    account_id bigint NOT NULL,
    value text NOT NULL,
    status text NOT NULL,
    messages bigint NOT NULL,
    parts bigint NOT NULL,
    units bigint NOT NULL,
    PRIMARY KEY (span, dimension, day, account_id, value, status)
);

-- Who has sent, by day of acceptance: people, keys and partners, as the messages name them.
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

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION stat_sum_keep() SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION stat_sum_keep() FROM PUBLIC;
END $$;

-- What was counted before.
INSERT INTO stat_sum
SELECT s.span,
       CASE WHEN type IS NOT NULL THEN 'type' WHEN sign IS NOT NULL THEN 'sign'
            WHEN channel_id IS NOT NULL THEN 'channel' WHEN carrier IS NOT NULL THEN 'carrier'
            WHEN province IS NOT NULL THEN 'province' WHEN origin IS NOT NULL THEN 'origin' ELSE '' END,
       date_trunc(s.span, day)::date, account_id, COALESCE(type, sign, channel_id::text, carrier, province, origin, ''),
       status, sum(messages), sum(parts), sum(units)
FROM stat_day CROSS JOIN (VALUES ('day'), ('month')) s (span)
GROUP BY s.span, date_trunc(s.span, day), account_id, status,
         GROUPING SETS ((), (type), (sign), (channel_id), (carrier), (province), (origin));
