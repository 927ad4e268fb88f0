-- An audience is a group of contacts, or a segment: whoever has done something with the account's messages, found anew
-- whenever it is used. How many they were is kept as it was counted last.
ALTER TABLE audience
    ADD COLUMN segment jsonb CHECK (segment IS NULL OR parent_id IS NULL),
    ADD COLUMN counted bigint,
    ADD COLUMN counted_at timestamptz,
    ADD COLUMN counted_of text;              -- of whose messages; NULL: of anybody's

-- Programs that know of no segments take them for groups: they put nobody into one, and nothing below it.
CREATE FUNCTION segment_no_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM audience WHERE id = NEW.parent_id AND segment IS NOT NULL) THEN
        RAISE EXCEPTION 'a segment has no groups below it' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER segment_no_parent BEFORE INSERT OR UPDATE OF parent_id ON audience
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION segment_no_parent();
CREATE FUNCTION segment_no_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added n JOIN audience a ON a.id = n.audience_id WHERE a.segment IS NOT NULL) THEN
        RAISE EXCEPTION 'a segment has no members' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER segment_no_members AFTER INSERT ON audience_member
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION segment_no_members();
