-- Records whose first time is over keep no number and no text (docs/adr/083): in the place of a number its keyed hash.

-- The key of the hashes, sealed with the key file. There is one, for ever: the same number has the same hash.
CREATE TABLE pseudonym_key (
    id int PRIMARY KEY CHECK (id = 1),
    sealed bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- After how many days (0: never) the numbers of messages and inbound messages are hashed and PDUs forgotten; the newest
-- that was passed by a second person holds. None is ever changed but by that decision.
CREATE TABLE retention_rule (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    messages_days int NOT NULL CHECK (messages_days >= 0),
    inbound_days int NOT NULL CHECK (inbound_days >= 0),
    pdus_days int NOT NULL CHECK (pdus_days >= 0),
    texts boolean NOT NULL,                      -- whether the texts go with the numbers
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'passed', 'rejected')),
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    answer text NOT NULL DEFAULT '',
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz
);
CREATE UNIQUE INDEX retention_rule_waiting ON retention_rule (state) WHERE state = 'waiting';

-- Days that are done, and tasks.
CREATE TABLE masked_day (
    class text NOT NULL CHECK (class IN ('messages', 'inbound', 'pdus')),
    day date NOT NULL,
    texts boolean NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    done_at timestamptz,                         -- NULL: it was begun
    PRIMARY KEY (class, day)
);
ALTER TABLE task ADD COLUMN masked boolean NOT NULL DEFAULT false;

-- A digest is over this and the octets, so that who has the digest alone cannot try numbers until one fits. Both go
-- together. NULL: a PDU of before, whose digest is over its octets alone.
ALTER TABLE evidence ADD COLUMN salt bytea;

-- What phones have sent is never written again, but for this: whole days that are a week old at least.
CREATE FUNCTION mo_mask(low bigint, high bigint, ids bigint[], numbers text[], texts boolean) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    n int;
BEGIN
    IF high > (extract(epoch FROM now() - interval '7 days' - timestamptz '2024-01-01 00:00:00+00') * 1000)::bigint << 22
       OR EXISTS (SELECT FROM unnest(numbers) x WHERE x !~ '^#[0-9a-f]{32}$') THEN
        RAISE EXCEPTION 'not what is masked' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE mo SET number = g.number, content = CASE WHEN texts THEN '' ELSE mo.content END
    FROM unnest(ids, numbers) AS g(id, number)
    WHERE mo.id = g.id AND mo.id >= low AND mo.id < high;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

-- Forget the octets in some blocks of a day whose root was made: what proves the results stays, and so does the root.
CREATE FUNCTION evidence_forget(day date, first int, blocks int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    own text := 'evidence_' || to_char(day, 'YYYYMMDD');
    n int;
BEGIN
    IF day > (now() AT TIME ZONE 'Asia/Shanghai')::date - 30
       OR NOT EXISTS (SELECT FROM evidence_root r WHERE r.day = evidence_forget.day)
       OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass('evidence')
                      AND inhrelid = to_regclass(quote_ident(own))) THEN
        RAISE EXCEPTION 'a day whose octets stay' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('UPDATE %I SET pdu = NULL, salt = NULL WHERE ctid >= %L AND ctid < %L AND pdu IS NOT NULL',
                   own, format('(%s,0)', first), format('(%s,0)', first + blocks));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['mo_mask(bigint, bigint, bigint[], text[], boolean)', 'evidence_forget(date, int, int)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', one, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
    END LOOP;
END $$;
