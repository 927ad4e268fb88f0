-- Who looks after what phones have sent: read, given to somebody, answered, done with. What was sent itself (mo) is
-- never written again.
CREATE TABLE inbound_care (
    mo_id bigint PRIMARY KEY,
    seen_at timestamptz,
    seen_by text,
    assignee text,                           -- login of who looks after it
    assigned_by text,
    answered_by bigint,                      -- id of the last message that was sent in answer
    done_at timestamptz,
    done_by text
);
CREATE INDEX inbound_care_assignee ON inbound_care (assignee) WHERE assignee IS NOT NULL;

-- What nobody has opened yet; not what is an opt-out, nor what came before this table.
CREATE TABLE inbound_unread (
    mo_id bigint PRIMARY KEY,
    account_id bigint                        -- NULL: no account owns the code
);
CREATE INDEX inbound_unread_account ON inbound_unread (account_id);

-- Whoever is given one by somebody else is told.
ALTER TABLE inbox DROP CONSTRAINT inbox_kind_check;
ALTER TABLE inbox ADD CONSTRAINT inbox_kind_check
    CHECK (kind IN ('notice', 'alarm', 'job', 'security', 'task', 'sign', 'inbound'));
CREATE FUNCTION inbox_inbound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox (staff_id, kind, subject, word, at)
    SELECT s.id, 'inbound', NEW.mo_id, 'assigned', now() FROM staff s
    WHERE s.login = NEW.assignee AND s.status <> 'removed'
    ON CONFLICT (staff_id, kind, subject) DO UPDATE SET at = excluded.at, read_at = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_inbound AFTER UPDATE OF assignee ON inbound_care FOR EACH ROW
    WHEN (NEW.assignee IS NOT NULL AND NEW.assignee <> NEW.assigned_by AND OLD.assignee IS DISTINCT FROM NEW.assignee)
    EXECUTE FUNCTION inbox_inbound();
