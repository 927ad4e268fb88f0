-- Codes other than that of a delivery are few: a code that does not occur is not looked for in the parts of all days of
-- which reports still come. Days get the index as they are made; here those without a part yet, for the lock keeps all
-- writers out. Days with parts get theirs once they are settled, one a statement, and the last of them makes it whole.
CREATE INDEX part_code ON ONLY part (code, id) WHERE code NOT IN ('', 'DELIVRD');
DO $$
DECLARE
    own text;
    held boolean;
BEGIN
    FOR own IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = to_regclass('part') LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', own) INTO held;
        IF NOT held OR own = 'part_99991231' THEN  -- the default one keeps what had no day: never much
            EXECUTE format('CREATE INDEX %I ON %I (code, id) WHERE code NOT IN ('''', ''DELIVRD'')',
                           own || '_code_id_idx', own);
            EXECUTE format('ALTER INDEX part_code ATTACH PARTITION %I', own || '_code_id_idx');
        END IF;
    END LOOP;
END $$;

-- As before, and by the last digits of the number and by template (docs/adr/057); of parts their share of part_code.
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

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION partition_index(text, date) SET search_path = %I, pg_temp', current_schema());
END $$;
