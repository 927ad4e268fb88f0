-- What schema each node's program was written for, and the lease under which it said so: a program that says nothing is older.
ALTER TABLE node ADD COLUMN schema int NOT NULL DEFAULT 0, ADD COLUMN schema_epoch bigint NOT NULL DEFAULT 0;

-- Programs before training mode would send what a rehearsal sends to phones: once one has begun, none of them starts here.
CREATE FUNCTION training_needs() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE schema_info SET compat = 148 WHERE compat < 148;
    RETURN NULL;
END
$$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION training_needs() SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION training_needs() FROM PUBLIC;
END $$;
CREATE TRIGGER training_needs AFTER UPDATE OF training ON account FOR EACH ROW WHEN (NEW.training)
    EXECUTE FUNCTION training_needs();
