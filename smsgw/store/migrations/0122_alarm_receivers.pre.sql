-- Who is told of alarms, and what became of each note. A row is made once for an alarm, a receiver and an event, in the
-- transaction that opens or clears the alarm. What broke off on its way may have arrived: 'unsure', and nothing sends it again
-- by itself.
CREATE TABLE alarm_receiver (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    kind text NOT NULL CHECK (kind IN ('sms', 'mail', 'wecom', 'dingtalk', 'webhook')),
    shown text NOT NULL,                 -- of its address, what people see
    sealed bytea[] NOT NULL DEFAULT '{}',   -- the address, and the secret of its signature
    account_id bigint REFERENCES account,   -- whose messages those to a phone are
    critical_only boolean NOT NULL,
    language text NOT NULL CHECK (language IN ('zh', 'en')),
    active boolean NOT NULL DEFAULT true,
    removed_at timestamptz,
    free_at timestamptz NOT NULL DEFAULT '-infinity',   -- nothing goes there before
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((kind = 'sms') = (account_id IS NOT NULL))
);
CREATE UNIQUE INDEX alarm_receiver_name ON alarm_receiver (name) WHERE removed_at IS NULL;
CREATE TABLE alarm_note (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    alarm_id bigint REFERENCES alarm ON DELETE CASCADE,   -- none: a test
    receiver_id bigint NOT NULL REFERENCES alarm_receiver,
    event text NOT NULL CHECK (event IN ('raised', 'cleared', 'test')),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unsure')),
    tries int NOT NULL DEFAULT 0,
    entered_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    begun_at timestamptz,
    ended_at timestamptz,
    said text NOT NULL DEFAULT '',       -- by the receiver's server, the network, or us
    UNIQUE (alarm_id, receiver_id, event),
    CHECK ((event = 'test') = (alarm_id IS NULL))
);
CREATE INDEX alarm_note_due ON alarm_note (receiver_id, next_at) WHERE state = 'waiting';
CREATE INDEX alarm_note_sending ON alarm_note (begun_at) WHERE state = 'sending';
CREATE INDEX alarm_note_entered ON alarm_note (entered_at, id);

-- Receivers are told when an alarm opens (or becomes grave enough for them), and those who were when it is over.
CREATE FUNCTION alarm_noted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.cleared_at IS NULL THEN
        INSERT INTO alarm_note (alarm_id, receiver_id, event, entered_at, next_at)
        SELECT NEW.id, r.id, 'raised', NEW.last, NEW.last FROM alarm_receiver r
        WHERE r.active AND r.removed_at IS NULL AND (NEW.severity = 'critical' OR NOT r.critical_only)
        ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO alarm_note (alarm_id, receiver_id, event, entered_at, next_at)
        SELECT NEW.id, r.id, 'cleared', NEW.cleared_at, NEW.cleared_at
        FROM alarm_note n JOIN alarm_receiver r ON r.id = n.receiver_id
        WHERE n.alarm_id = NEW.id AND n.event = 'raised' AND r.active AND r.removed_at IS NULL
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER alarm_noted AFTER INSERT ON alarm FOR EACH ROW EXECUTE FUNCTION alarm_noted();
CREATE TRIGGER alarm_noted_again AFTER UPDATE OF severity, cleared_at ON alarm FOR EACH ROW
    WHEN (OLD.severity <> NEW.severity OR OLD.cleared_at IS NULL AND NEW.cleared_at IS NOT NULL)
    EXECUTE FUNCTION alarm_noted();

UPDATE role SET permissions = permissions || '{alarm.edit}' WHERE builtin AND code IN ('ops', 'admin', 'sysadmin')
    AND NOT 'alarm.edit' = ANY (permissions);
