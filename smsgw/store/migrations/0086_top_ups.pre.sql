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

-- Of units that were put in or taken out: who has done it, and the balance that came of it.
ALTER TABLE ledger ADD COLUMN who text, ADD COLUMN balance bigint;
CREATE INDEX ledger_topup ON ledger (at, id) WHERE kind = 'topup';
UPDATE ledger l SET who = a.actor, balance = (a.after->>'balance')::bigint
FROM audit a
WHERE l.kind = 'topup' AND a.action = 'account.topup' AND a.object = 'account/' || l.account_id
  AND a.after->>'units' = l.units::text AND a.at BETWEEN l.at - interval '10 seconds' AND l.at + interval '10 seconds';
