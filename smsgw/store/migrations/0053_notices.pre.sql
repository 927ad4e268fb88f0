-- Announcements of the platform's administrators, and what everybody is told: each person's own rows (docs/adr/046).
CREATE TABLE notice (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 80),
    content text NOT NULL CHECK (length(content) BETWEEN 1 AND 2000),
    audience text NOT NULL CHECK (audience IN ('all', 'roles', 'departments')),
    targets bigint[] NOT NULL DEFAULT '{}',      -- roles, or departments with all below them
    published_at timestamptz NOT NULL DEFAULT now(),
    published_by text NOT NULL,
    until timestamptz NOT NULL,
    withdrawn_at timestamptz
);
CREATE INDEX notice_published ON notice (published_at, id);

CREATE TABLE inbox (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('notice', 'alarm', 'job', 'security')),
    subject bigint NOT NULL,                     -- of the notice, alarm, job, audit entry
    word text NOT NULL DEFAULT '',               -- kind of the alarm or job, action of the entry
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

-- Whoever has begun long work is told of its end.
CREATE FUNCTION inbox_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
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
        'session.end'))
    EXECUTE FUNCTION inbox_security();

-- Announcements are the administrators' to publish.
UPDATE role SET permissions = permissions || '{notice.edit}' WHERE builtin AND code IN ('admin', 'sysadmin')
    AND NOT 'notice.edit' = ANY (permissions);
