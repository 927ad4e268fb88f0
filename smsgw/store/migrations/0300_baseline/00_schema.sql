-- The schema itself: its version, the sections of the configuration, the partitions of days. Ids are ordered by time
-- (core/ids.py), so the big tables are partitioned by ranges of id, a range for each business day in China.

-- The one row: which schema this is, and the oldest program that it accepts.
CREATE TABLE schema_info (
    version int NOT NULL,
    compat int NOT NULL
);
INSERT INTO schema_info VALUES (300, 300);

-- A part of the configuration that nodes keep in memory. Its version moves in the transaction of each change, so that
-- who has read versions and rows in one snapshot lacks nothing of what they say.
CREATE TABLE config_section (
    section text PRIMARY KEY,
    version bigint NOT NULL
);

CREATE SEQUENCE config_version;

-- Before the statement: changes of a section take turns before they touch its rows. The common version goes with it, under
-- the lock that tells of changes to come (store/channels).
CREATE FUNCTION config_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1668247142), nextval('config_version');
    UPDATE config_section SET version = version + 1 WHERE section = TG_ARGV[0];
    RETURN NULL;
END $$;

-- Let changes of a table move a section, but for columns that are no configuration. To be called again by a migration that
-- adds a column: the trigger knows the columns that there are now.
CREATE FUNCTION config_watch(watched regclass, section_ text, passed_over text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    columns text := (
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = watched AND attnum > 0 AND NOT attisdropped AND attname <> ALL (passed_over)
    );
BEGIN
    IF (SELECT count(*) FROM pg_attribute WHERE attrelid = watched AND attname = ANY (passed_over))
       <> cardinality(passed_over) THEN
        RAISE EXCEPTION '% lacks a column of %', watched, passed_over;
    END IF;
    INSERT INTO config_section VALUES (section_, 1) ON CONFLICT (section) DO NOTHING;
    EXECUTE format('CREATE OR REPLACE TRIGGER config_moved BEFORE INSERT OR DELETE OR UPDATE OF %s ON %s'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION config_moved(%L)', columns, watched, section_);
END $$;

-- The application's role cannot make or drop tables: the owner does it for it, within these bounds (docs/adr/036).
-- Ids decide the day (core/ids.py): milliseconds since 2024 above 22 other bits; a day is one of China.
CREATE FUNCTION partition_make(base text, day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '100ms' AS $$
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

-- Never a day that the shortest retention (docs/operations.md) still keeps, whoever asks. Beside a backup, which reads every
-- table for as long as it takes, a day can be neither made nor dropped: whoever waits for that lock lets all writers wait
-- behind it. Both are asked for again in ten minutes, so they wait for no longer than a writer needs.
CREATE FUNCTION partition_drop(base text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '100ms' AS $$
DECLARE
    gone regclass := to_regclass(quote_ident(base || '_' || to_char(day, 'YYYYMMDD')));
    days int := CASE WHEN base IN ('mo', 'customer_event', 'webhook_attempt', 'submit_pdu') THEN 1 ELSE 14 END;
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

-- The pairs of neighbouring characters of a text: what holds a word holds all pairs of the word. They are not sorted, as an
-- index keeps each once by itself. The cost keeps the planner from working it out for row after row.
CREATE FUNCTION text_pairs(content text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 2000 AS $$
    SELECT COALESCE(array_agg(a || b), '{}')
    FROM (SELECT string_to_array(content, NULL) AS c) t, unnest(c, c[2:]) AS u (a, b) WHERE b IS NOT NULL
$$;

-- Make an index of a day that it has not yet; its name, NULL when it has all. What is looked for in records is indexed when
-- its day is over: accepting and sending pay nothing for it (docs/adr/057). One at a time: others get in between. Messages
-- are not changed any more once a day has passed, parts once no more reports come.
CREATE FUNCTION partition_index(base text, day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' SET maintenance_work_mem = '128MB' AS $$
DECLARE
    own text := base || '_' || to_char(day, 'YYYYMMDD');
    days int := CASE base WHEN 'message' THEN 1 ELSE 4 END;
    one text[];
BEGIN
    IF day >= (now() AT TIME ZONE 'Asia/Shanghai')::date - days THEN
        RAISE EXCEPTION 'a day that still changes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF base NOT IN ('message', 'part') OR NOT EXISTS (
        SELECT 1 FROM pg_inherits
        WHERE inhparent = to_regclass(quote_ident(base)) AND inhrelid = to_regclass(quote_ident(own))
    ) THEN
        RAISE EXCEPTION 'no day partition' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOREACH one SLICE 1 IN ARRAY CASE base
        WHEN 'message' THEN ARRAY[
            ARRAY['type', '(type)'], ARRAY['carrier', '(carrier)'], ARRAY['province', '(province)'],
            ARRAY['origin', '(origin)'], ARRAY['extension', '(extend_code) WHERE extend_code <> '''''],
            ARRAY['reference', '(client_ref) WHERE client_ref <> '''''], ARRAY['test', '(id) WHERE test'],
            ARRAY['template', '(template_id) WHERE template_id > 0'],
            ARRAY['pairs', 'USING gin (text_pairs(content)) WITH (fastupdate = off)'],
            ARRAY['tail', '("right"(number, 4))']]
        ELSE ARRAY[
            ARRAY['code', '(code)'], ARRAY['channel', '(channel_id)'], ARRAY['state', '(state)'],
            ARRAY['code_id_idx', '(code, id) WHERE code NOT IN ('''', ''DELIVRD'')'],
            ARRAY['unfinished', '(id) WHERE state < 40']]
    END LOOP
        IF to_regclass(quote_ident(own || '_' || one[1])) IS NULL THEN
            EXECUTE format('CREATE INDEX %I ON %I %s', own || '_' || one[1], own, one[2]);
            IF one[1] = 'code_id_idx' THEN  -- the name that it has where the day was made with it
                EXECUTE format('ALTER INDEX part_code ATTACH PARTITION %I', own || '_' || one[1]);
            ELSIF one[1] IN ('tail', 'unfinished') THEN
                EXECUTE format('ANALYZE %I', own);  -- how often a pair or an end is there, and that the day stays so
            END IF;
            RETURN own || '_' || one[1];
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
