-- Business kinds beside the fixed types (docs/adr/086). message.type stays one of those, so that whoever knows no kinds reads
-- and sends what there is; kind is the name of the operator's own, '': none.
CREATE TABLE message_kind (
    name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{1,31}$'),
    label text NOT NULL,
    base text NOT NULL CHECK (base IN ('otp', 'notice', 'marketing')),
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz                       -- they are never deleted: records and figures name them
);
CREATE UNIQUE INDEX message_kind_label ON message_kind (label) WHERE retired_at IS NULL;
SELECT config_watch('message_kind', 'kinds');

ALTER TABLE message ADD COLUMN kind text NOT NULL DEFAULT '';
ALTER TABLE task ADD COLUMN message_kind text NOT NULL DEFAULT '';

-- An older program would count, route and limit what is of a kind as if it were not: once there is one, none starts here.
CREATE FUNCTION kinds_need() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE schema_info SET compat = 194 WHERE compat < 194;
    RETURN NULL;
END
$$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION kinds_need() SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION kinds_need() FROM PUBLIC;
END $$;
CREATE TRIGGER kinds_need AFTER INSERT ON message_kind FOR EACH STATEMENT EXECUTE FUNCTION kinds_need();
