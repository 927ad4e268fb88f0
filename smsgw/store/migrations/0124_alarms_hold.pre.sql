-- An alarm stands while a node that lives names it: two nodes that know different things do not raise and clear it in turn.
ALTER TABLE alarm ADD COLUMN nodes int[] NOT NULL DEFAULT '{}';   -- who names it, the first first; empty: whoever is asked
-- What its owner knows of a channel that is not logged in: whether it was refused.
ALTER TABLE channel_state ADD COLUMN refused boolean NOT NULL DEFAULT false;
CREATE INDEX alarm_cleared ON alarm (cleared_at) WHERE cleared_at IS NOT NULL;
CREATE INDEX alarm_note_begun ON alarm_note (receiver_id, begun_at) WHERE begun_at IS NOT NULL;

-- Those of the nodes that live, without one.
CREATE FUNCTION alarm_nodes_left(nodes int[], without int) RETURNS int[] LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg(n ORDER BY i), '{}') FROM unnest(nodes) WITH ORDINALITY u (n, i)
    WHERE n <> without
      AND EXISTS (SELECT FROM lease l WHERE l.resource = 'node/' || n AND l.expires_at > clock_timestamp())
$$;

-- What comes back within this time was never over: the alarm is opened again, and nobody is told of an end.
CREATE FUNCTION alarm_hold() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '90 seconds' $$;

-- When a receiver is told: of a beginning after the minutes and silences, of an end when it has held; of warnings not in quiet hours.
CREATE FUNCTION alarm_due(event text, entered timestamptz, a alarm, r alarm_receiver) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN a.severity = 'critical' THEN at ELSE alarm_quiet_until(at, r.quiet_from, r.quiet_to) END
    FROM (SELECT CASE event WHEN 'cleared' THEN entered + alarm_hold() ELSE GREATEST(
        entered + make_interval(mins => r.after_minutes),
        (SELECT max(s.until) FROM alarm_silence s
         WHERE s.until > entered AND s.kind IN ('', a.kind) AND s.object IN ('', a.object))) END AS at) due
$$;

CREATE OR REPLACE FUNCTION alarm_noted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.cleared_at IS NOT NULL THEN   -- opened again
        DELETE FROM alarm_note WHERE alarm_id = NEW.id AND event = 'cleared' AND state = 'waiting' AND tries = 0;
        UPDATE alarm_note n SET state = 'waiting', ended_at = NULL, said = '',
            next_at = alarm_due('raised', n.entered_at, NEW, r)
        FROM alarm_receiver r WHERE n.alarm_id = NEW.id AND n.event = 'raised' AND n.state = 'dropped' AND n.said = 'over'
          AND r.id = n.receiver_id AND r.active AND r.removed_at IS NULL;
    END IF;
    IF NEW.cleared_at IS NULL THEN
        INSERT INTO alarm_note AS n (alarm_id, receiver_id, event, entered_at, next_at)
        SELECT NEW.id, r.id, 'raised', NEW.last, alarm_due('raised', NEW.last, NEW, r) FROM alarm_receiver r
        WHERE r.active AND r.removed_at IS NULL AND (NEW.severity = 'critical' OR NOT r.critical_only)
          AND (r.after_minutes = 0 OR NEW.acked_at IS NULL)
        ON CONFLICT (alarm_id, receiver_id, event) DO UPDATE SET next_at = LEAST(n.next_at, excluded.next_at)
        WHERE n.state = 'waiting' AND n.tries = 0;   -- a warning that waits for the morning has become grave
    ELSE
        UPDATE alarm_note SET state = 'dropped', ended_at = NEW.cleared_at, said = 'over'
        WHERE alarm_id = NEW.id AND event = 'raised' AND state = 'waiting' AND tries = 0 AND next_at > NEW.cleared_at;
        INSERT INTO alarm_note (alarm_id, receiver_id, event, entered_at, next_at)
        SELECT NEW.id, r.id, 'cleared', NEW.cleared_at, alarm_due('cleared', NEW.cleared_at, NEW, r)
        FROM alarm_note n JOIN alarm_receiver r ON r.id = n.receiver_id
        WHERE n.alarm_id = NEW.id AND n.event = 'raised' AND n.state <> 'dropped' AND r.active AND r.removed_at IS NULL
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER alarm_noted_again ON alarm;
CREATE TRIGGER alarm_noted_again AFTER UPDATE OF severity, cleared_at ON alarm FOR EACH ROW
    WHEN (OLD.severity <> NEW.severity OR (OLD.cleared_at IS NULL) <> (NEW.cleared_at IS NULL))
    EXECUTE FUNCTION alarm_noted();
