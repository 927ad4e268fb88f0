-- The audit log can be added to and not be changed. Each row carries an HMAC under a key that the database does not have;
-- one chain of HMACs (audit_link) says which rows there are and in which order, and its head is kept outside (anchors).
-- Rows that have a hash are from before: their chain is sealed in the first checkpoint.
ALTER TABLE audit ALTER COLUMN hash DROP NOT NULL, ADD COLUMN key text, ADD COLUMN mac bytea;

-- The signature is over the id as well, so it is known before the row is there: no identity, a sequence for the writers.
ALTER TABLE audit ALTER COLUMN id DROP IDENTITY;
CREATE SEQUENCE audit_entry;
SELECT setval('audit_entry', (SELECT COALESCE(max(id), 0) + 1 FROM audit), false);
ALTER TABLE audit ALTER COLUMN id SET DEFAULT nextval('audit_entry');

CREATE INDEX audit_accept ON audit (id) WHERE action = 'audit.accept';

-- Rows that are not in the chain yet.
CREATE TABLE audit_open (id bigint PRIMARY KEY);

CREATE TABLE audit_link (
    seq bigint PRIMARY KEY,
    id bigint NOT NULL UNIQUE,           -- of the row
    key text NOT NULL,
    mac bytea NOT NULL
);

-- Where the chain begins: at first, and wherever it was cut when retention was over.
CREATE TABLE audit_checkpoint (
    seq bigint PRIMARY KEY,              -- the last link before
    mac bytea NOT NULL,                  -- of that link
    at timestamptz NOT NULL,
    legacy jsonb,                        -- rows, last_id and head of the chain from before, while its rows are kept
    key text NOT NULL,
    sign bytea NOT NULL
);

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('smsgw.audit_retention', true) = 'on'
       AND pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit log is not changed: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit', 'audit_link', 'audit_checkpoint'] LOOP
        EXECUTE format('CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON %I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', name);
    END LOOP;
END $$;

-- The one way out, for rows that are older than the law wants them (six months): the chain through a link goes, and a signed
-- checkpoint stays in its place.
CREATE FUNCTION audit_prune(through bigint, checkpoint_mac bytea, checkpoint_at timestamptz, checkpoint_key text,
                            checkpoint_sign bytea)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    legacy_last bigint := (SELECT (c.legacy->>'last_id')::bigint FROM audit_checkpoint c ORDER BY c.seq DESC LIMIT 1);
    gone bigint;
BEGIN
    IF EXISTS (
        SELECT FROM audit_link l JOIN audit a ON a.id = l.id
        WHERE l.seq <= through AND a.at > clock_timestamp() - interval '183 days'
    ) OR EXISTS (
        SELECT FROM audit a
        WHERE a.id <= legacy_last AND a.mac IS NULL AND a.at > clock_timestamp() - interval '183 days'
    ) THEN
        RAISE EXCEPTION 'rows of the last 183 days are kept' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('smsgw.audit_retention', 'on', true);
    DELETE FROM audit a USING audit_link l WHERE l.seq <= through AND a.id = l.id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM audit a WHERE a.id <= legacy_last AND a.mac IS NULL;
    DELETE FROM audit_link l WHERE l.seq <= through;
    PERFORM set_config('smsgw.audit_retention', 'off', true);
    INSERT INTO audit_checkpoint (seq, mac, at, key, sign)
    VALUES (through, checkpoint_mac, checkpoint_at, checkpoint_key, checkpoint_sign);
    RETURN gone;
END $$;
REVOKE ALL ON FUNCTION audit_prune(bigint, bytea, timestamptz, text, bytea) FROM PUBLIC;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_prune(bigint, bytea, timestamptz, text, bytea)'
                   ' SET search_path = %I, pg_temp', current_schema());
END $$;
