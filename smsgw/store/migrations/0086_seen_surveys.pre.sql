-- Whoever has numbers looked at before a sending waits for it on that page: only what has taken its time, or has failed,
-- is told in the inbox, too.
CREATE OR REPLACE FUNCTION inbox_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'draft.survey' AND NEW.state = 'done' AND NEW.created_at > now() - interval '1 minute' THEN
        RETURN NULL;
    END IF;
    INSERT INTO inbox (staff_id, kind, subject, word, detail, at)
    SELECT s.id, 'job', NEW.id, NEW.kind, NEW.state, COALESCE(NEW.ended_at, now()) FROM staff s
    WHERE s.login = NEW.submitter AND s.status <> 'removed'
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
