-- Who looks after what phones have sent: read, given to somebody, answered, done with.
-- What was there before counts as read (the default is that of these rows alone).
ALTER TABLE mo ADD COLUMN seen_at timestamptz DEFAULT now(),
    ADD COLUMN seen_by text,
    ADD COLUMN assignee text,                -- login of who looks after it
    ADD COLUMN assigned_by text,
    ADD COLUMN answered_by bigint,           -- id of the last message that was sent in answer
    ADD COLUMN done_at timestamptz,
    ADD COLUMN done_by text;
ALTER TABLE mo ALTER COLUMN seen_at DROP DEFAULT;
CREATE INDEX mo_unseen ON mo (id) WHERE seen_at IS NULL AND NOT opted_out;

-- Whoever is given one by somebody else is told.
ALTER TABLE inbox DROP CONSTRAINT inbox_kind_check;
ALTER TABLE inbox ADD CONSTRAINT inbox_kind_check
    CHECK (kind IN ('notice', 'alarm', 'job', 'security', 'task', 'sign', 'inbound'));
CREATE FUNCTION inbox_inbound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox (staff_id, kind, subject, word, at)
    SELECT s.id, 'inbound', NEW.id, 'assigned', now() FROM staff s
    WHERE s.login = NEW.assignee AND s.status <> 'removed'
    ON CONFLICT (staff_id, kind, subject) DO UPDATE SET at = excluded.at, read_at = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_inbound AFTER UPDATE OF assignee ON mo FOR EACH ROW
    WHEN (NEW.assignee IS NOT NULL AND NEW.assignee <> NEW.assigned_by AND OLD.assignee IS DISTINCT FROM NEW.assignee)
    EXECUTE FUNCTION inbox_inbound();
