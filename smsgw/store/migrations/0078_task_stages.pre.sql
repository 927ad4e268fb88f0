-- Tasks that send in steps (docs/adr/056): what was asked for, and where the run stands: the stage, the row up to which
-- may be fed, since when it is watched, what was decided before.
ALTER TABLE task ADD COLUMN steps jsonb;
ALTER TABLE task ADD COLUMN stages jsonb;
CREATE INDEX task_halted ON task (account_id) WHERE state = 'paused' AND reason = 'STAGE_HALTED';

-- Replies that were opt-outs, by the message that they answer.
CREATE INDEX mo_opted_out ON mo (account_id, in_reply_to) WHERE opted_out AND in_reply_to IS NOT NULL;
CREATE INDEX complaint_message ON complaint (message_id) WHERE message_id IS NOT NULL;

-- Whoever has submitted a task is told when it has stopped by itself; each time anew.
ALTER TABLE inbox DROP CONSTRAINT inbox_kind_check;
ALTER TABLE inbox ADD CONSTRAINT inbox_kind_check CHECK (kind IN ('notice', 'alarm', 'job', 'security', 'task', 'sign'));
CREATE FUNCTION inbox_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox (staff_id, kind, subject, word, detail, at)
    SELECT s.id, 'task', NEW.id, 'halted', left(NEW.name, 200), now() FROM staff s
    WHERE s.login = NEW.submitter AND s.status <> 'removed'
    ON CONFLICT (staff_id, kind, subject) DO UPDATE SET at = excluded.at, detail = excluded.detail, read_at = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_task AFTER UPDATE OF state ON task FOR EACH ROW
    WHEN (NEW.state = 'paused' AND NEW.reason = 'STAGE_HALTED' AND OLD.state IS DISTINCT FROM NEW.state)
    EXECUTE FUNCTION inbox_task();
