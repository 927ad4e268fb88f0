-- What is looked for in records is indexed when its day is over: accepting and sending pay nothing for it (docs/adr/057).

-- The pairs of neighbouring characters of a text: what holds a word holds all pairs of the word. The cost keeps the
-- planner from working it out for row after row.
CREATE FUNCTION text_pairs(content text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 2000 AS $$
    SELECT COALESCE(array_agg(DISTINCT a || b), '{}')
    FROM (SELECT string_to_array(content, NULL) AS c) t, unnest(c, c[2:]) AS u (a, b) WHERE b IS NOT NULL
$$;

-- Make an index of a day that it has not yet; its name, NULL when it has all. One at a time: others get in between.
-- Messages are not changed any more once a day has passed, parts once no more reports come.
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
            ARRAY['pairs', 'USING gin (text_pairs(content)) WITH (fastupdate = off)']]
        ELSE ARRAY[
            ARRAY['code', '(code)'], ARRAY['channel', '(channel_id)'], ARRAY['state', '(state)'],
            ARRAY['unfinished', '(id) WHERE state < 40']]
    END LOOP
        IF to_regclass(quote_ident(own || '_' || one[1])) IS NULL THEN
            EXECUTE format('CREATE INDEX %I ON %I %s', own || '_' || one[1], own, one[2]);
            IF one[1] IN ('pairs', 'unfinished') THEN
                EXECUTE format('ANALYZE %I', own);  -- how often a pair is there, and that the day is as it stays
            END IF;
            RETURN own || '_' || one[1];
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION partition_index(text, date) SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION partition_index(text, date) FROM PUBLIC;
END $$;
