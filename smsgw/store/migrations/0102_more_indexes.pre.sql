-- Codes other than that of a delivery are few: a code that does not occur is not looked for in the parts of all days of
-- which reports still come.
CREATE INDEX part_code ON part (code, id) WHERE code NOT IN ('', 'DELIVRD');

-- As before, and by the last digits of the number and by template (docs/adr/057).
CREATE OR REPLACE FUNCTION partition_index(base text, day date) RETURNS text
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
            ARRAY['unfinished', '(id) WHERE state < 40']]
    END LOOP
        IF to_regclass(quote_ident(own || '_' || one[1])) IS NULL THEN
            EXECUTE format('CREATE INDEX %I ON %I %s', own || '_' || one[1], own, one[2]);
            IF one[1] IN ('tail', 'unfinished') THEN
                EXECUTE format('ANALYZE %I', own);  -- how often a pair or an end is there, and that the day stays so
            END IF;
            RETURN own || '_' || one[1];
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION partition_index(text, date) SET search_path = %I, pg_temp', current_schema());
END $$;
