-- What lasts (core/alarm_rules.py) no silence hushes, not even one of everything: of the audit log everybody is told.
CREATE OR REPLACE FUNCTION alarm_due(event text, entered timestamptz, a alarm, r alarm_receiver) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN a.severity = 'critical' THEN at ELSE alarm_quiet_until(at, r.quiet_from, r.quiet_to) END
    FROM (SELECT CASE event WHEN 'cleared' THEN entered + alarm_hold() ELSE GREATEST(
        entered + make_interval(mins => r.after_minutes),
        (SELECT max(s.until) FROM alarm_silence s
         WHERE s.until > entered AND s.kind IN ('', a.kind) AND s.object IN ('', a.object)
           AND a.kind NOT IN ('audit_changed', 'audit_anchor'))) END AS at) due
$$;
-- What waits for the end of a silence already is told now.
UPDATE alarm_note n SET next_at = alarm_due(n.event, n.entered_at, a, r) FROM alarm a, alarm_receiver r
WHERE a.id = n.alarm_id AND r.id = n.receiver_id AND a.cleared_at IS NULL AND n.event = 'raised' AND n.state = 'waiting'
  AND n.tries = 0 AND a.kind IN ('audit_changed', 'audit_anchor');
