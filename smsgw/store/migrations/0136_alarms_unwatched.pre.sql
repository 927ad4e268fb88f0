-- An alarm that has ended because its rule was turned off: what was wrong may still be so.
ALTER TABLE alarm ADD COLUMN unwatched boolean NOT NULL DEFAULT false;

-- Of these everybody is told.
UPDATE alarm_rule SET receivers = NULL WHERE kind IN ('audit_changed', 'audit_anchor');

-- Whether a receiver is told of an alarm: as its rule says, the exception before the one for all. Where nobody of those that
-- were chosen is told of what is so grave (or is there any more), everybody is.
CREATE OR REPLACE FUNCTION alarm_wanted(a alarm, receiver bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT COALESCE((
        SELECT r.receivers IS NULL OR receiver = ANY (r.receivers) OR NOT EXISTS (
            SELECT FROM alarm_receiver x WHERE x.id = ANY (r.receivers) AND x.active AND x.removed_at IS NULL
            AND (a.severity = 'critical' OR NOT x.critical_only))
        FROM alarm_rule r WHERE r.kind = a.kind AND r.object IN ('', a.object) AND NOT r.removed
        ORDER BY r.object = '' LIMIT 1), true)
$$;
