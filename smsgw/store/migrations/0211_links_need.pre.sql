-- An older program would send a text with a place for a link as it stands, and give no codes: once a task has a link, none
-- starts here.
CREATE FUNCTION links_need() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE schema_info SET compat = 210 WHERE compat < 210;
    RETURN NULL;
END
$$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION links_need() SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION links_need() FROM PUBLIC;
END $$;
CREATE TRIGGER links_need AFTER INSERT ON task FOR EACH ROW WHEN (NEW.link_id IS NOT NULL) EXECUTE FUNCTION links_need();
