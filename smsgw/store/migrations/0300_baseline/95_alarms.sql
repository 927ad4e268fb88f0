-- Operations: alarms, faults, tickets, duty, and what people are told.

-- Something that is wrong right now, or was. One open alarm for each kind and object; it stands while a node that lives names
-- it: two nodes that know different things do not raise and clear it in turn.
CREATE TABLE alarm (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    object text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('warning', 'critical')),
    detail text NOT NULL DEFAULT '',
    since timestamptz NOT NULL,
    last timestamptz NOT NULL,
    count int NOT NULL DEFAULT 1,              -- how often it was raised since it opened
    acked_at timestamptz,
    acked_by text NOT NULL DEFAULT '',
    cleared_at timestamptz,
    -- what it tells, as words and values, to be put into the reader's language; detail is its Chinese
    said jsonb,
    -- whose it is: who sees some accounts alone sees the alarms about them; NULL: about the platform
    account_id bigint,
    nodes int[] NOT NULL DEFAULT '{}',         -- who names it, the first first; empty: whoever is asked
    unwatched boolean NOT NULL DEFAULT false   -- it has ended because its rule was turned off: what was wrong may still be so
);
CREATE UNIQUE INDEX alarm_open ON alarm (kind, object) WHERE cleared_at IS NULL;
CREATE INDEX alarm_since ON alarm (since);
CREATE INDEX alarm_account ON alarm (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX alarm_cleared ON alarm (cleared_at) WHERE cleared_at IS NOT NULL;

-- When something found wrong is an alarm, how grave it is and who is told: a rule for each kind (core/alarm_rules.py has what
-- it says by default), and exceptions for single objects. What was changed stands in says; NULL: as by default.
CREATE TABLE alarm_rule (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    object text NOT NULL DEFAULT '',         -- of an exception
    version int NOT NULL DEFAULT 0,          -- of the last change; 0: there was none
    says jsonb,
    receivers bigint[],                      -- who is told; NULL: all of them
    removed boolean NOT NULL DEFAULT false,  -- an exception that is none any more
    changed_by text NOT NULL DEFAULT '',
    changed_at timestamptz,
    UNIQUE (kind, object)
);
INSERT INTO alarm_rule (kind) VALUES
    ('channel_down'), ('login_refused'), ('standby_low'), ('probe_failed'), ('success_low'), ('channel_shifted'),
    ('rate_near'), ('unknown_code'), ('claims_lost'), ('unmatched_reports'), ('queue_long'), ('queue_old'),
    ('review_waiting'), ('facts_parked'), ('webhook_failing'), ('webhook_queue'), ('webhook_dead'), ('events_lost'),
    ('balance_low'), ('database_down'), ('database_lag'), ('writer_stalled'), ('node_missing'), ('disk_filling'),
    ('disk_low'), ('journal_full'), ('spool_failed'), ('spool_damaged'), ('loop_stalled'), ('clock_wrong'),
    ('partition_missing'), ('retention_held'), ('figures_differ'), ('complaint_ceiling'), ('toll_fraud'),
    ('guessing'), ('audit_changed'), ('audit_anchor'), ('sign_over'), ('task_halted'), ('fault_response_near'),
    ('fault_response_over'), ('fault_recovery_near'), ('fault_recovery_over'), ('faults_full'),
    ('ticket_response_near'), ('ticket_response_over'), ('report_late'), ('backup_old'), ('links_stale'),
    ('clicks_unkept'), ('channel_throttled'), ('restored_undecided'), ('redis_away'), ('channel_silent'),
    ('links_unserved'), ('database_faulty'), ('rows_skipped');
SELECT config_watch('alarm_rule', 'alarm_rules');

-- A rule as it stood since a change, all of it: what is not changed may have another default in a later program.
CREATE TABLE alarm_rule_version (
    rule_id bigint NOT NULL REFERENCES alarm_rule,
    version int NOT NULL,
    said jsonb NOT NULL,
    by text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (rule_id, version)
);

-- A silence: alarms that nobody is told of before a time, and not at all when they are over by then.
CREATE TABLE alarm_silence (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL DEFAULT '',    -- empty: any
    object text NOT NULL DEFAULT '',  -- empty: any
    reason text NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    until timestamptz NOT NULL        -- ended early: that moment
);
CREATE INDEX alarm_silence_until ON alarm_silence (until, id);

-- Who is told of alarms. One of the second line is told of what nobody has taken on within minutes; in quiet hours of nothing
-- but grave ones. One that is on_duty is whoever is on duty when a note leaves; its own address stands in where nobody is.
CREATE TABLE alarm_receiver (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    kind text NOT NULL CHECK (kind IN ('sms', 'mail', 'wecom', 'dingtalk', 'webhook')),
    shown text NOT NULL,                   -- of its address, what people see
    sealed bytea[] NOT NULL DEFAULT '{}',  -- the address, and the secret of its signature
    account_id bigint REFERENCES account,  -- whose messages those to a phone are
    critical_only boolean NOT NULL,
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    active boolean NOT NULL DEFAULT true,
    removed_at timestamptz,
    free_at timestamptz NOT NULL DEFAULT '-infinity',  -- nothing goes there before
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    after_minutes int NOT NULL DEFAULT 0 CHECK (after_minutes BETWEEN 0 AND 1440),
    quiet_from time,
    quiet_to time,
    on_duty boolean NOT NULL DEFAULT false,
    CHECK ((kind = 'sms') = (account_id IS NOT NULL)),
    CHECK ((quiet_from IS NULL) = (quiet_to IS NULL)),
    CHECK (NOT on_duty OR kind IN ('sms', 'mail'))
);
CREATE UNIQUE INDEX alarm_receiver_name ON alarm_receiver (name) WHERE removed_at IS NULL;

-- A note to a receiver: made once for an alarm, a receiver and an event, in the transaction that opens or clears the alarm.
-- What broke off on its way may have arrived: 'unsure', and nothing sends it again by itself.
CREATE TABLE alarm_note (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    alarm_id bigint REFERENCES alarm ON DELETE CASCADE,  -- none: a test
    receiver_id bigint NOT NULL REFERENCES alarm_receiver,
    event text NOT NULL CHECK (event IN ('raised', 'cleared', 'test')),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unsure', 'dropped')),
    tries int NOT NULL DEFAULT 0,
    entered_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    begun_at timestamptz,
    ended_at timestamptz,
    said text NOT NULL DEFAULT '',  -- by the receiver's server, the network, or us
    UNIQUE (alarm_id, receiver_id, event),
    CHECK ((event = 'test') = (alarm_id IS NULL))
);
CREATE INDEX alarm_note_due ON alarm_note (receiver_id, next_at) WHERE state = 'waiting';
CREATE INDEX alarm_note_sending ON alarm_note (begun_at) WHERE state = 'sending';
CREATE INDEX alarm_note_entered ON alarm_note (entered_at, id);
CREATE INDEX alarm_note_begun ON alarm_note (receiver_id, begun_at) WHERE begun_at IS NOT NULL;

-- Those of the nodes that live, without one.
CREATE FUNCTION alarm_nodes_left(nodes int[], without int) RETURNS int[] LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg(n ORDER BY i), '{}') FROM unnest(nodes) WITH ORDINALITY u (n, i)
    WHERE n <> without
      AND EXISTS (SELECT FROM lease l WHERE l.resource = 'node/' || n AND l.expires_at > clock_timestamp())
$$;

-- What comes back within this time was never over: the alarm is opened again, and nobody is told of an end.
CREATE FUNCTION alarm_hold() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '90 seconds' $$;

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

-- What lasts (core/alarm_rules.py) no silence hushes, not even one of everything: of the audit log everybody is told.
CREATE FUNCTION alarm_due(event text, entered timestamptz, a alarm, r alarm_receiver) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN a.severity = 'critical' THEN at ELSE alarm_quiet_until(at, r.quiet_from, r.quiet_to) END
    FROM (SELECT CASE event WHEN 'cleared' THEN entered + alarm_hold() ELSE GREATEST(
        entered + make_interval(mins => r.after_minutes),
        (SELECT max(s.until) FROM alarm_silence s
         WHERE s.until > entered AND s.kind IN ('', a.kind) AND s.object IN ('', a.object)
           AND a.kind NOT IN ('audit_changed', 'audit_anchor'))) END AS at) due
$$;

-- Whether a receiver is told of an alarm: as its rule says, the exception before the one for all. Where nobody of those that
-- were chosen is told of what is so grave (or is there any more), everybody is.
CREATE FUNCTION alarm_wanted(a alarm, receiver bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT COALESCE((
        SELECT r.receivers IS NULL OR receiver = ANY (r.receivers) OR NOT EXISTS (
            SELECT FROM alarm_receiver x WHERE x.id = ANY (r.receivers) AND x.active AND x.removed_at IS NULL
            AND (a.severity = 'critical' OR NOT x.critical_only))
        FROM alarm_rule r WHERE r.kind = a.kind AND r.object IN ('', a.object) AND NOT r.removed
        ORDER BY r.object = '' LIMIT 1), true)
$$;

-- Receivers are told when an alarm opens (or becomes grave enough for them), and those who were when it is over.
CREATE FUNCTION alarm_noted() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER alarm_noted AFTER INSERT ON alarm FOR EACH ROW EXECUTE FUNCTION alarm_noted();
CREATE TRIGGER alarm_noted_again AFTER UPDATE OF severity, cleared_at ON alarm FOR EACH ROW
    WHEN (OLD.severity <> NEW.severity OR (OLD.cleared_at IS NULL) <> (NEW.cleared_at IS NULL))
    EXECUTE FUNCTION alarm_noted();

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

-- --- Faults and tickets ---

-- An outage from its beginning to its report, with the times that were promised.
CREATE TABLE fault (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    title text NOT NULL CHECK (length(title) BETWEEN 2 AND 100),
    severity text NOT NULL CHECK (severity IN ('critical', 'warning')),
    began_at timestamptz NOT NULL,         -- of the trouble
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    by_hand boolean NOT NULL,              -- not from an alarm: a person says when it is over
    respond_by timestamptz NOT NULL,       -- as the settings were when it was opened
    recover_by timestamptz NOT NULL,
    responded_at timestamptz,
    responded_by text NOT NULL DEFAULT '',
    recovered_at timestamptz,              -- end of the trouble
    recovered_by text NOT NULL DEFAULT '',
    counts boolean NOT NULL DEFAULT true,  -- among the faults of the year, and in availability
    why_not text NOT NULL DEFAULT '',
    cause text NOT NULL DEFAULT '',
    done text NOT NULL DEFAULT '',
    prevention text NOT NULL DEFAULT '',
    closed_at timestamptz,
    closed_by text NOT NULL DEFAULT '',
    CHECK (recovered_at >= began_at),
    CHECK (closed_at IS NULL OR recovered_at IS NOT NULL),
    CONSTRAINT fault_began_at_bounds CHECK (began_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
CREATE INDEX fault_began ON fault (began_at, id);
CREATE INDEX fault_open ON fault (id) WHERE closed_at IS NULL;

-- An alarm of a fault. What stands of it is kept here, too: alarms are forgotten after their time, faults are not.
CREATE TABLE fault_alarm (
    alarm_id bigint PRIMARY KEY,  -- an alarm is of one fault
    fault_id bigint NOT NULL REFERENCES fault,
    kind text NOT NULL,
    object text NOT NULL,
    since timestamptz NOT NULL
);
CREATE INDEX fault_alarm_fault ON fault_alarm (fault_id);

-- A step of a fault.
CREATE TABLE fault_step (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    fault_id bigint NOT NULL REFERENCES fault,
    at timestamptz NOT NULL,
    by text NOT NULL,
    kind text NOT NULL,
    said text NOT NULL DEFAULT ''
);
CREATE INDEX fault_step_fault ON fault_step (fault_id, id);
CREATE INDEX fault_step_at ON fault_step (at);

-- What somebody of the purchaser has reported, with the messages that it is about, until it is answered. Texts have no whole
-- phone number: they are masked before they are stored.
CREATE TABLE ticket (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    title text NOT NULL CHECK (length(title) BETWEEN 2 AND 100),
    message_ids bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(message_ids) <= 20),
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    respond_by timestamptz NOT NULL,       -- as the setting was when it was opened, or opened again
    responded_at timestamptz,
    responded_by text NOT NULL DEFAULT '',
    assigned_to text NOT NULL DEFAULT '',  -- a login
    closed_at timestamptz,
    closed_by text NOT NULL DEFAULT ''
);
CREATE INDEX ticket_opened ON ticket (opened_at, id);
CREATE INDEX ticket_account ON ticket (account_id, opened_at);
CREATE INDEX ticket_open ON ticket (id) WHERE closed_at IS NULL;

-- A step of a ticket. One that opens it again has the promise of the round that it ends, and when it was kept.
CREATE TABLE ticket_step (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    ticket_id bigint NOT NULL REFERENCES ticket,
    at timestamptz NOT NULL,
    by text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('opened', 'said', 'taken', 'assigned', 'closed', 'reopened')),
    said text NOT NULL DEFAULT '',
    since timestamptz,
    respond_by timestamptz,
    responded_at timestamptz
);
CREATE INDEX ticket_step_ticket ON ticket_step (ticket_id, id);

-- Who is on duty in a shift: two a day (China), from 08:00 and from 20:00.
CREATE TABLE duty (
    day date NOT NULL,
    shift text NOT NULL CHECK (shift IN ('day', 'night')),
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    PRIMARY KEY (day, shift)
);
CREATE INDEX duty_staff ON duty (staff_id);

-- The shift that a moment lies in: before eight in the morning it is still that of the night before.
CREATE FUNCTION duty_at(at timestamptz, OUT day date, OUT shift text) LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN t < time '08:00' THEN d - 1 ELSE d END, CASE WHEN t >= time '08:00' AND t < time '20:00' THEN 'day' ELSE 'night' END
    FROM (SELECT (at AT TIME ZONE 'Asia/Shanghai')::time AS t, (at AT TIME ZONE 'Asia/Shanghai')::date AS d) local
$$;

-- Whom people can turn to.
CREATE TABLE support_contact (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('hotline', 'qq', 'wechat', 'mail', 'other')),
    label text NOT NULL,
    value text NOT NULL,
    note text NOT NULL DEFAULT ''
);

-- --- What people are told ---

-- The one row: who gets the daily health mail, and when.
CREATE TABLE health_plan (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    emails text[] NOT NULL,
    since timestamptz[] NOT NULL,  -- of each of them: days whose mail was due by then are not told
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    hour smallint NOT NULL CHECK (hour BETWEEN 0 AND 23),  -- China
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(since) = cardinality(emails))
);

-- A daily health mail: made once for a receiver and a day, whichever node makes it; after a stop one tells of all days since
-- the one before (first to day). One that somebody has asked for beside these says who.
CREATE TABLE health_mail (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    first date NOT NULL,
    day date NOT NULL CHECK (day >= first),
    receiver text NOT NULL,
    language text NOT NULL,
    asked_by text NOT NULL DEFAULT '',  -- empty: it went by itself
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unsure')),
    tries int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    begun_at timestamptz,
    ended_at timestamptz,
    digest text NOT NULL DEFAULT '',    -- SHA-256 of the text that was sent
    said text NOT NULL DEFAULT ''       -- what the mail server, or the network, has said last
);
CREATE UNIQUE INDEX health_mail_once ON health_mail (day, receiver) WHERE asked_by = '';
CREATE INDEX health_mail_due ON health_mail (next_at) WHERE state IN ('waiting', 'sending');

-- An announcement of the platform's administrators (docs/adr/046).
CREATE TABLE notice (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 80),
    content text NOT NULL CHECK (length(content) BETWEEN 1 AND 2000),
    audience text NOT NULL CHECK (audience IN ('all', 'roles', 'departments')),
    targets bigint[] NOT NULL DEFAULT '{}',  -- roles, or departments with all below them
    published_at timestamptz NOT NULL DEFAULT now(),
    published_by text NOT NULL,
    until timestamptz NOT NULL,
    withdrawn_at timestamptz,
    CONSTRAINT notice_until_bounds CHECK (until BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
CREATE INDEX notice_published ON notice (published_at, id);

-- Something that a person is told.
CREATE TABLE inbox (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('notice', 'alarm', 'job', 'security', 'task', 'sign', 'inbound', 'contract',
                                       'balance', 'quota')),
    subject bigint NOT NULL,        -- of the notice, alarm, job, audit entry
    word text NOT NULL DEFAULT '',  -- kind of the alarm or job, action of the entry
    detail text NOT NULL DEFAULT '' CHECK (length(detail) <= 200),
    at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    UNIQUE (staff_id, kind, subject)
);
CREATE INDEX inbox_of ON inbox (staff_id, at, id);
CREATE INDEX inbox_unread ON inbox (staff_id) WHERE read_at IS NULL;
CREATE INDEX inbox_at ON inbox (at);

-- Whoever may see alarms is told when one opens.
CREATE FUNCTION inbox_alarm() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox (staff_id, kind, subject, word, detail, at)
    SELECT s.id, 'alarm', NEW.id, NEW.kind, left(NEW.object, 200), NEW.last FROM staff s
    WHERE s.status = 'active'
      AND NOT EXISTS (SELECT FROM staff_permission x
                      WHERE x.staff_id = s.id AND NOT x.allowed AND x.permission = 'alarm.view')
      AND (EXISTS (SELECT FROM staff_permission x
                   WHERE x.staff_id = s.id AND x.allowed AND x.permission = 'alarm.view')
           OR EXISTS (SELECT FROM staff_role y JOIN role r ON r.id = y.role_id
                      WHERE y.staff_id = s.id AND (r.everything OR 'alarm.view' = ANY (r.permissions))))
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_alarm AFTER INSERT ON alarm FOR EACH ROW EXECUTE FUNCTION inbox_alarm();

-- Whoever has begun long work is told of its end; who has numbers looked at before a sending waits for it on that page: only
-- of what has taken its time, or has failed.
CREATE FUNCTION inbox_job() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER inbox_job AFTER UPDATE OF state ON job FOR EACH ROW
    WHEN (NEW.state IN ('done', 'failed') AND OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION inbox_job();

-- Everybody is told what others have done to their login, and of a login from where they have not come from in 90 days.
CREATE FUNCTION inbox_security() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    about text := CASE WHEN NEW.action = 'login' THEN NEW.actor ELSE substr(NEW.object, 7) END;
BEGIN
    IF NEW.action = 'login' THEN
        IF NOT EXISTS (SELECT FROM audit a WHERE a.actor = NEW.actor AND a.action = 'login' AND a.id <> NEW.id
                       AND a.at > NEW.at - interval '90 days')
           OR EXISTS (SELECT FROM audit a WHERE a.actor = NEW.actor AND a.action = 'login' AND a.id <> NEW.id
                      AND a.at > NEW.at - interval '90 days' AND a.ip IS NOT DISTINCT FROM NEW.ip) THEN
            RETURN NULL;
        END IF;
    ELSIF about = NEW.actor THEN
        RETURN NULL;
    END IF;
    INSERT INTO inbox (staff_id, kind, subject, word, detail, at)
    SELECT s.id, 'security', NEW.id, NEW.action,
           CASE WHEN NEW.action = 'login' THEN COALESCE(host(NEW.ip), '') ELSE left(NEW.actor, 200) END, NEW.at
    FROM staff s WHERE s.login = about AND s.status <> 'removed'
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_security AFTER INSERT ON audit FOR EACH ROW
    WHEN (NEW.action = 'login' OR NEW.object LIKE 'staff/%' AND NEW.action IN (
        'staff.reset', 'staff.grant', 'staff.permissions', 'staff.set', 'staff.stop', 'staff.start', 'factor.reset',
        'factor.emergency', 'login.person', 'session.end'))
    EXECUTE FUNCTION inbox_security();

-- Whoever has submitted a task is told when it has stopped by itself; each time anew.
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

-- Whoever is given an inbound message by somebody else is told.
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

-- Functions that work as the owner see the schema that they are in, whatever their caller's path is, and nobody runs them
-- but who is given it (store/engine/database_roles.py).
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN SELECT oid FROM pg_proc WHERE prosecdef AND pronamespace = current_schema()::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', one, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
    END LOOP;
END $$;
