-- Silence: alarms that nobody is told of before a time, and not at all when they are over by then. Receivers of the second
-- line are told of what nobody has taken on within minutes; hours in which somebody is told of nothing but grave ones.
CREATE TABLE alarm_silence (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL DEFAULT '',       -- empty: any
    object text NOT NULL DEFAULT '',     -- empty: any
    reason text NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    until timestamptz NOT NULL           -- ended early: that moment
);
CREATE INDEX alarm_silence_until ON alarm_silence (until, id);
ALTER TABLE alarm_receiver ADD COLUMN after_minutes int NOT NULL DEFAULT 0 CHECK (after_minutes BETWEEN 0 AND 1440),
    ADD COLUMN quiet_from time, ADD COLUMN quiet_to time,
    ADD CHECK ((quiet_from IS NULL) = (quiet_to IS NULL));
ALTER TABLE alarm_note DROP CONSTRAINT alarm_note_state_check;
ALTER TABLE alarm_note ADD CONSTRAINT alarm_note_state_check
    CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unsure', 'dropped'));

-- When the quiet hours that a moment lies in are over (China's time); the moment itself outside of them.
CREATE FUNCTION alarm_quiet_until(at timestamptz, from_ time, to_ time) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN from_ IS NULL OR from_ = to_ THEN at
        WHEN from_ < to_ AND t >= from_ AND t < to_ THEN (d + to_) AT TIME ZONE 'Asia/Shanghai'
        WHEN from_ > to_ AND t >= from_ THEN (d + 1 + to_) AT TIME ZONE 'Asia/Shanghai'
        WHEN from_ > to_ AND t < to_ THEN (d + to_) AT TIME ZONE 'Asia/Shanghai'
        ELSE at END
    FROM (SELECT (at AT TIME ZONE 'Asia/Shanghai')::time AS t, (at AT TIME ZONE 'Asia/Shanghai')::date AS d) local
$$;

CREATE OR REPLACE FUNCTION alarm_noted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    silent timestamptz;
BEGIN
    IF NEW.cleared_at IS NULL THEN
        SELECT max(s.until) INTO silent FROM alarm_silence s
        WHERE s.until > NEW.last AND s.kind IN ('', NEW.kind) AND s.object IN ('', NEW.object);
        INSERT INTO alarm_note (alarm_id, receiver_id, event, entered_at, next_at)
        SELECT NEW.id, r.id, 'raised', NEW.last, CASE WHEN NEW.severity = 'critical' THEN due.at
                                                 ELSE alarm_quiet_until(due.at, r.quiet_from, r.quiet_to) END
        FROM alarm_receiver r
        CROSS JOIN LATERAL (SELECT GREATEST(NEW.last + make_interval(mins => r.after_minutes), silent) AS at) due
        WHERE r.active AND r.removed_at IS NULL AND (NEW.severity = 'critical' OR NOT r.critical_only)
          AND (r.after_minutes = 0 OR NEW.acked_at IS NULL)
        ON CONFLICT DO NOTHING;
    ELSE
        UPDATE alarm_note SET state = 'dropped', ended_at = NEW.cleared_at, said = 'over'
        WHERE alarm_id = NEW.id AND event = 'raised' AND state = 'waiting' AND tries = 0 AND next_at > NEW.cleared_at;
        INSERT INTO alarm_note (alarm_id, receiver_id, event, entered_at, next_at)
        SELECT NEW.id, r.id, 'cleared', NEW.cleared_at, NEW.cleared_at
        FROM alarm_note n JOIN alarm_receiver r ON r.id = n.receiver_id
        WHERE n.alarm_id = NEW.id AND n.event = 'raised' AND n.state <> 'dropped' AND r.active AND r.removed_at IS NULL
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

-- Whoever takes an alarm on keeps the second line from being called.
CREATE FUNCTION alarm_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alarm_note n SET state = 'dropped', ended_at = NEW.acked_at, said = 'taken' FROM alarm_receiver r
    WHERE n.alarm_id = NEW.id AND n.event = 'raised' AND n.state = 'waiting' AND n.tries = 0 AND n.next_at > NEW.acked_at
      AND r.id = n.receiver_id AND r.after_minutes > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER alarm_taken AFTER UPDATE OF acked_at ON alarm FOR EACH ROW
    WHEN (OLD.acked_at IS NULL AND NEW.acked_at IS NOT NULL) EXECUTE FUNCTION alarm_taken();
