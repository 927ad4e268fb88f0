-- When something found wrong is an alarm, how grave it is and who is told: a rule for each kind (core/alarm_rules.py has what
-- it says by default), and exceptions for single objects. What was changed stands in ``says``; NULL: as by default.
CREATE TABLE alarm_rule (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    object text NOT NULL DEFAULT '',     -- of an exception
    version int NOT NULL DEFAULT 0,      -- of the last change; 0: there was none
    says jsonb,
    receivers bigint[],                  -- who is told; NULL: all of them
    removed boolean NOT NULL DEFAULT false,   -- an exception that is none any more
    changed_by text NOT NULL DEFAULT '',
    changed_at timestamptz,
    UNIQUE (kind, object)
);
-- As it stood since each change, all of it: what is not changed may have another default in a later program.
CREATE TABLE alarm_rule_version (
    rule_id bigint NOT NULL REFERENCES alarm_rule,
    version int NOT NULL,
    said jsonb NOT NULL,
    by text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (rule_id, version)
);
INSERT INTO alarm_rule (kind) VALUES
    ('channel_down'), ('login_refused'), ('standby_low'), ('probe_failed'), ('success_low'), ('channel_shifted'), ('rate_near'),
    ('unknown_code'), ('claims_lost'), ('unmatched_reports'), ('queue_long'), ('queue_old'), ('review_waiting'), ('facts_parked'),
    ('webhook_failing'), ('webhook_queue'), ('webhook_dead'), ('events_lost'), ('balance_low'), ('database_down'),
    ('database_lag'), ('writer_stalled'), ('node_missing'), ('disk_filling'), ('disk_low'), ('journal_full'), ('spool_failed'),
    ('spool_damaged'), ('loop_stalled'), ('clock_wrong'), ('partition_missing'), ('retention_held'), ('figures_differ'),
    ('complaint_ceiling'), ('toll_fraud'), ('guessing'), ('audit_changed'), ('audit_anchor'), ('sign_over'), ('task_halted');
SELECT config_watch('alarm_rule', 'alarm_rules');

-- Whether a receiver is told of an alarm: as its rule says, the exception before the one for all. Where nobody of those that
-- were chosen is there any more, everybody is told.
CREATE FUNCTION alarm_wanted(a alarm, receiver bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT COALESCE((
        SELECT r.receivers IS NULL OR receiver = ANY (r.receivers) OR NOT EXISTS (
            SELECT FROM alarm_receiver x WHERE x.id = ANY (r.receivers) AND x.active AND x.removed_at IS NULL)
        FROM alarm_rule r WHERE r.kind = a.kind AND r.object IN ('', a.object) AND NOT r.removed
        ORDER BY r.object = '' LIMIT 1), true)
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
          AND (r.after_minutes = 0 OR NEW.acked_at IS NULL) AND alarm_wanted(NEW, r.id)
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
