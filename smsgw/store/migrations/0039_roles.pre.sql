-- The application's role cannot make or drop tables: the owner does it for it, within these bounds (docs/adr/036).
-- Ids decide the day (core/ids.py): milliseconds since 2024 above 22 other bits; a day is one of China.
CREATE FUNCTION partition_make(base text, day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    own regclass := to_regclass(quote_ident(base));
    rest text := quote_ident(base || '_99991231');
    made text := quote_ident(base || '_' || to_char(day, 'YYYYMMDD'));
    origin timestamptz := '2024-01-01 00:00:00+00';
    low bigint;
    high bigint;
    storage text := CASE base WHEN 'part' THEN ' WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, '
        'autovacuum_analyze_scale_factor = 0.05)' ELSE '' END;  -- updates of a part stay on their page
BEGIN
    IF to_regclass(rest) IS NULL OR NOT EXISTS (
        SELECT 1 FROM pg_inherits WHERE inhparent = own AND inhrelid = to_regclass(rest)
    ) THEN
        RAISE EXCEPTION 'no table of day partitions' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF day NOT BETWEEN '2020-01-01' AND '2199-12-31' THEN
        RAISE EXCEPTION 'no day of ours' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF to_regclass(made) IS NOT NULL THEN
        RETURN 'there';
    END IF;
    low := (extract(epoch FROM day::timestamp AT TIME ZONE 'Asia/Shanghai' - origin) * 1000)::bigint << 22;
    high := (extract(epoch FROM (day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai' - origin) * 1000)::bigint << 22;
    BEGIN
        EXECUTE format('CREATE TABLE IF NOT EXISTS %s PARTITION OF %s FOR VALUES FROM (%s) TO (%s)%s',
                       made, own, low, high, storage);
        RETURN 'made';
    EXCEPTION WHEN check_violation THEN  -- rows of the day are in the default partition: they must leave it first
        NULL;
    END;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', rest);
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL)%s', made, own, storage);
    EXECUTE format('WITH moved AS (DELETE FROM %s WHERE id >= %s AND id < %s RETURNING *) INSERT INTO %s SELECT * FROM moved',
                   rest, low, high, made);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)', own, made, low, high);
    EXECUTE format('ANALYZE %s', made);
    RETURN 'moved';
END $$;

-- Never a day that the shortest retention (docs/operations.md) still keeps, whoever asks.
CREATE FUNCTION partition_drop(base text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    gone regclass := to_regclass(quote_ident(base || '_' || to_char(day, 'YYYYMMDD')));
    days int := CASE WHEN base IN ('mo', 'customer_event', 'webhook_attempt') THEN 1 ELSE 14 END;
BEGIN
    IF day >= (now() AT TIME ZONE 'Asia/Shanghai')::date - days THEN
        RAISE EXCEPTION 'a day that is to be kept' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF gone IS NULL OR NOT EXISTS (
        SELECT 1 FROM pg_inherits WHERE inhparent = to_regclass(quote_ident(base)) AND inhrelid = gone
    ) THEN
        RAISE EXCEPTION 'no day partition' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('DROP TABLE %s', gone);
END $$;

-- They see the schema that they are in, whatever their caller's path is.
DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['partition_make(text, date)', 'partition_drop(text, date)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', one, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
    END LOOP;
END $$;
