-- The fault register: an outage from its beginning to its report, with the times that were promised. What stands of its
-- alarms is kept here, too: alarms are forgotten after their time, faults are not.
CREATE TABLE fault (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    title text NOT NULL CHECK (length(title) BETWEEN 2 AND 100),
    severity text NOT NULL CHECK (severity IN ('critical', 'warning')),
    began_at timestamptz NOT NULL,       -- of the trouble
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    by_hand boolean NOT NULL,            -- not from an alarm: a person says when it is over
    respond_by timestamptz NOT NULL,     -- as the settings were when it was opened
    recover_by timestamptz NOT NULL,
    responded_at timestamptz,
    responded_by text NOT NULL DEFAULT '',
    recovered_at timestamptz,            -- end of the trouble
    recovered_by text NOT NULL DEFAULT '',
    counts boolean NOT NULL DEFAULT true,   -- among the faults of the year, and in availability
    why_not text NOT NULL DEFAULT '',
    cause text NOT NULL DEFAULT '',
    done text NOT NULL DEFAULT '',
    prevention text NOT NULL DEFAULT '',
    closed_at timestamptz,
    closed_by text NOT NULL DEFAULT '',
    CHECK (recovered_at >= began_at),
    CHECK (closed_at IS NULL OR recovered_at IS NOT NULL)
);
CREATE INDEX fault_began ON fault (began_at, id);
CREATE INDEX fault_open ON fault (id) WHERE closed_at IS NULL;
CREATE TABLE fault_alarm (
    alarm_id bigint PRIMARY KEY,         -- an alarm is of one fault
    fault_id bigint NOT NULL REFERENCES fault,
    kind text NOT NULL,
    object text NOT NULL,
    since timestamptz NOT NULL
);
CREATE INDEX fault_alarm_fault ON fault_alarm (fault_id);
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

-- What nodes do that no alarm and no audit entry tells: starts (of a version), stops, and channels that change hands.
CREATE TABLE node_event (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    node int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('start', 'stop', 'takeover')),
    version text NOT NULL DEFAULT '',    -- of the program that starts, ...
    before text NOT NULL DEFAULT '',     -- ... and the one before it; of a takeover the node that had it
    object text NOT NULL DEFAULT ''
);
CREATE INDEX node_event_at ON node_event (at);
CREATE INDEX node_event_start ON node_event (node, id) WHERE kind = 'start';
CREATE FUNCTION lease_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO node_event (node, kind, before, object)
    SELECT NEW.node, 'takeover', CASE WHEN OLD.node > 0 THEN OLD.node::text ELSE '' END, 'channel/' || c.name FROM channel c
    WHERE NEW.resource = 'channel/' || c.id AND c.removed_at IS NULL;
    RETURN NULL;
END $$;
-- A negative node is nobody: whoever takes a number over disowns the leases of who had it.
CREATE TRIGGER lease_moved AFTER UPDATE OF node ON lease FOR EACH ROW
    WHEN (OLD.node <> NEW.node AND NEW.node > 0 AND NEW.resource LIKE 'channel/%') EXECUTE FUNCTION lease_moved();

-- Since when the platform serves: "since" begins anew when another machine takes the number over.
ALTER TABLE node ADD COLUMN first_since timestamptz NOT NULL DEFAULT clock_timestamp();
UPDATE node SET first_since = since;

INSERT INTO alarm_rule (kind) VALUES
    ('fault_response_near'), ('fault_response_over'), ('fault_recovery_near'), ('fault_recovery_over'),
    ('faults_full');
