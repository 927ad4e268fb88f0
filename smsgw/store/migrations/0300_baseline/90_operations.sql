-- Operations: settings, nodes, jobs, files, the audit log, retention, backups.

-- A setting that operators change while the system runs; what is not here has its default (core/settings.py).
CREATE TABLE setting (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
SELECT config_watch('setting', 'settings');

-- A value of a setting that one person has asked for and a second one has to ask for as well.
CREATE TABLE setting_wish (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- --- Nodes ---

-- Who may do what at the moment: a channel has one owner node, a job one runner. Expiry by the database's clock.
CREATE TABLE lease (
    resource text PRIMARY KEY,
    node int NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE SEQUENCE lease_epoch;

-- Who makes ids under a node number: the data directory with this instance id. Whether it lives says the lease node/N.
CREATE TABLE node (
    number int PRIMARY KEY CHECK (number BETWEEN 1 AND 1023),
    instance text NOT NULL,
    place text NOT NULL,                     -- machine and data directory, for people
    since timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    last_id bigint NOT NULL DEFAULT 0,       -- no id of this number is known to be above
    removed_at timestamptz,                  -- somebody has said that it will not come back: nobody is told that it is missing
    removed_by text NOT NULL DEFAULT '',
    -- since when the platform serves: since begins anew when another machine takes the number over
    first_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    schema int NOT NULL DEFAULT 0,           -- that its program was written for, …
    schema_epoch bigint NOT NULL DEFAULT 0,  -- … and the lease under which it said so
    serves_links boolean                     -- whether it serves short links; NULL: its program does not say
);

-- What a node does that no alarm and no audit entry tells: a start (of a version), a stop, a channel that changes hands.
CREATE TABLE node_event (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    node int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('start', 'stop', 'takeover')),
    version text NOT NULL DEFAULT '',  -- of the program that starts, ...
    before text NOT NULL DEFAULT '',   -- ... and the one before it; of a takeover the node that had it
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

-- A load test that was begun on the portal: what was asked for, how it went, what came out. The newest hundred stay.
CREATE TABLE load_test (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id bigint NOT NULL UNIQUE,
    scenario text NOT NULL,
    rate int NOT NULL CHECK (rate BETWEEN 1 AND 3000),
    seconds int NOT NULL CHECK (seconds BETWEEN 10 AND 1800),
    reason text NOT NULL,
    node int NOT NULL,
    begun_by text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'stopped')),
    ended_at timestamptz,
    error text NOT NULL DEFAULT '',
    samples jsonb NOT NULL DEFAULT '[]',  -- [seconds, due, accepted, reported], some hundreds
    result jsonb                          -- as smsgwctl bench --json
);

-- How much a disk or the database has held on a day, for the forecast.
CREATE TABLE size_day (
    object text NOT NULL,  -- 'database', or 'node/N/folder'
    day date NOT NULL,
    used bigint NOT NULL,  -- octets, at the last look of the day
    free bigint,           -- NULL: it is not known
    PRIMARY KEY (object, day)
);

-- --- Jobs and files ---

-- A durable job (platform/jobs). The row is queue, lease and result; a node that runs one holds it under an epoch.
CREATE TABLE job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    params jsonb NOT NULL DEFAULT '{}',
    subject text NOT NULL DEFAULT '',        -- what it is about: one unfinished job of a kind for each
    account_id bigint REFERENCES account,    -- whose it is; NULL: the operator's
    department_id bigint,
    submitter text NOT NULL,
    owner text NOT NULL GENERATED ALWAYS AS (COALESCE('account/' || account_id, submitter)) STORED,
    node int,                                -- the only one that can run it; NULL: any
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,         -- 0: not known
    checkpoint jsonb NOT NULL DEFAULT '{}',  -- of the kind: where the next run goes on
    cancel_asked boolean NOT NULL DEFAULT false,
    error text NOT NULL DEFAULT '',          -- code
    detail jsonb NOT NULL DEFAULT '{}',
    attempts int NOT NULL DEFAULT 0,         -- runs begun
    crashes int NOT NULL DEFAULT 0,          -- runs that came to a bad end
    runner int,
    epoch bigint NOT NULL DEFAULT 0,
    leased_until timestamptz,
    not_before timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    ended_at timestamptz,
    expires_at timestamptz NOT NULL          -- unfinished: it fails; ended: it is forgotten
);
CREATE INDEX job_open ON job (not_before, id) WHERE state IN ('waiting', 'running');
CREATE UNIQUE INDEX job_subject ON job (kind, subject) WHERE state IN ('waiting', 'running') AND subject <> '';
CREATE INDEX job_expiry ON job (expires_at);
CREATE INDEX job_account ON job (account_id, id);
CREATE INDEX job_submitter ON job (submitter, id);

-- How far a periodic job has come; written where a restart must not begin anew.
CREATE TABLE job_position (
    job text PRIMARY KEY,
    position bigint NOT NULL
);
-- Versions of the block list, and of consents, up to which waiting messages have been recalled.
INSERT INTO job_position VALUES ('recall', 0), ('consent', 0);

-- A stored file (platform/files). Several rows may mean the same octets.
CREATE TABLE file (
    id bigint PRIMARY KEY,
    node int NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    media_type text NOT NULL,
    size bigint NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    account_id bigint REFERENCES account,  -- whose it is; NULL: the operator's
    submitter text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    -- how many pieces there are; 0: the octets lie on the node alone until that has put them into file_piece
    pieces int NOT NULL DEFAULT 0
);
CREATE INDEX file_node ON file (node, expires_at);
CREATE INDEX file_content ON file (sha256);

-- A piece of the octets of a stored file, where every node and every backup has it (docs/adr/093).
CREATE TABLE file_piece (
    file_id bigint NOT NULL,  -- its row is entered behind its pieces
    n int NOT NULL,
    octets bytea NOT NULL,
    put_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (file_id, n)
);
ALTER TABLE file_piece ALTER COLUMN octets SET STORAGE EXTERNAL;

-- A table that somebody has uploaded in the portal (platform/sheets): how it is read; the octets are the file store's, under
-- the same id.
CREATE TABLE sheet (
    id bigint PRIMARY KEY,
    node int NOT NULL,
    purpose text NOT NULL,  -- what it is to be brought into
    name text NOT NULL,
    form jsonb NOT NULL,
    columns text[] NOT NULL,
    first_rows jsonb NOT NULL,
    row_count int NOT NULL,
    submitter text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sheet_expiry ON sheet (expires_at);

-- What has become of a row of such a table; it stands with the job that brought it in.
CREATE TABLE sheet_result (
    job_id bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    line int NOT NULL,              -- as the program of whoever has made the table numbers it
    outcome text NOT NULL CHECK (outcome IN ('created', 'updated', 'skipped', 'wrong')),
    key text NOT NULL DEFAULT '',   -- what the row is called by: of people the login
    name text NOT NULL DEFAULT '',
    row_id bigint,                  -- what was made of it
    said text NOT NULL DEFAULT '',  -- why nothing was
    said_en text NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, line)
);

-- A link to the file of an export: it opens one file once, in the session for which it was made.
CREATE TABLE export_link (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    job_id bigint NOT NULL REFERENCES job ON DELETE CASCADE,
    session_sha256 bytea NOT NULL CHECK (octet_length(session_sha256) = 32),
    expires_at timestamptz NOT NULL
);
CREATE INDEX export_link_expiry ON export_link (expires_at);
CREATE INDEX export_link_job ON export_link (job_id);

-- --- The audit log, which can be added to and not be changed ---

CREATE SEQUENCE audit_entry;

-- An entry: who changed what. It carries an HMAC under a key that the database does not have.
CREATE TABLE audit (
    id bigint PRIMARY KEY DEFAULT nextval('audit_entry'),
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    ip inet,
    action text NOT NULL,
    object text NOT NULL,
    before jsonb,
    after jsonb,
    hash bytea,  -- of rows from before the HMACs: their chain is sealed in the first checkpoint
    key text,
    mac bytea
);
CREATE INDEX audit_accept ON audit (id) WHERE action = 'audit.accept';
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_actor ON audit (actor, at, id);
CREATE INDEX audit_content ON audit (object, id) WHERE object LIKE 'sign/%' OR object LIKE 'template/%';
CREATE INDEX audit_message ON audit (object, id) WHERE object LIKE 'message/%';

-- An entry that is not in the chain yet.
CREATE TABLE audit_open (
    id bigint PRIMARY KEY
);

-- A link of the one chain of HMACs, which says which entries there are and in which order; its head is kept outside.
CREATE TABLE audit_link (
    seq bigint PRIMARY KEY,
    id bigint NOT NULL UNIQUE,  -- of the row
    key text NOT NULL,
    mac bytea NOT NULL
);

-- Where the chain begins: at first, and wherever it was cut when retention was over.
CREATE TABLE audit_checkpoint (
    seq bigint PRIMARY KEY,  -- the last link before
    mac bytea NOT NULL,      -- of that link
    at timestamptz NOT NULL,
    legacy jsonb,            -- rows, last_id and head of the chain from before, while its rows are kept
    key text NOT NULL,
    sign bytea NOT NULL
);

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('smsgw.audit_retention', true) = 'on'
       AND pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit log is not changed: % of % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_link
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- The one way out, for rows that are older than the law wants them (six months): the chain through a link goes, and a signed
-- checkpoint stays in its place.
CREATE FUNCTION audit_prune(through bigint, checkpoint_mac bytea, checkpoint_at timestamptz, checkpoint_key text,
                            checkpoint_sign bytea)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    legacy_last bigint := (SELECT (c.legacy->>'last_id')::bigint FROM audit_checkpoint c ORDER BY c.seq DESC LIMIT 1);
    gone bigint;
BEGIN
    IF EXISTS (
        SELECT FROM audit_link l JOIN audit a ON a.id = l.id
        WHERE l.seq <= through AND a.at > clock_timestamp() - interval '183 days'
    ) OR EXISTS (
        SELECT FROM audit a
        WHERE a.id <= legacy_last AND a.mac IS NULL AND a.at > clock_timestamp() - interval '183 days'
    ) THEN
        RAISE EXCEPTION 'rows of the last 183 days are kept' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('smsgw.audit_retention', 'on', true);
    DELETE FROM audit a USING audit_link l WHERE l.seq <= through AND a.id = l.id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM audit a WHERE a.id <= legacy_last AND a.mac IS NULL;
    DELETE FROM audit_link l WHERE l.seq <= through;
    PERFORM set_config('smsgw.audit_retention', 'off', true);
    INSERT INTO audit_checkpoint (seq, mac, at, key, sign)
    VALUES (through, checkpoint_mac, checkpoint_at, checkpoint_key, checkpoint_sign);
    RETURN gone;
END $$;

-- --- Retention (docs/adr/083): records whose first time is over keep no number and no text; in the place of a number its keyed hash ---

-- The one row: the key of the hashes, sealed with the key file. It is for ever: the same number has the same hash.
CREATE TABLE pseudonym_key (
    id int PRIMARY KEY CHECK (id = 1),
    sealed bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);

-- After how many days (0: never) the numbers of messages and inbound messages are hashed, PDUs forgotten and addresses of
-- clicks hashed; the newest that was passed by a second person holds. None is ever changed but by that decision.
CREATE TABLE retention_rule (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    messages_days int NOT NULL CHECK (messages_days >= 0),
    inbound_days int NOT NULL CHECK (inbound_days >= 0),
    pdus_days int NOT NULL CHECK (pdus_days >= 0),
    texts boolean NOT NULL,  -- whether the texts go with the numbers
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'passed', 'rejected')),
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    answer text NOT NULL DEFAULT '',
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    clicks_days int NOT NULL DEFAULT 0 CHECK (clicks_days >= 0)
);
CREATE UNIQUE INDEX retention_rule_waiting ON retention_rule (state) WHERE state = 'waiting';

-- A day that is masked, or was begun to be. last_id is where a killed run has come to: an id, of PDUs a block.
CREATE TABLE masked_day (
    class text NOT NULL CHECK (class IN ('messages', 'inbound', 'pdus', 'clicks')),
    day date NOT NULL,
    texts boolean NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    done_at timestamptz,  -- NULL: it was begun
    last_id bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (class, day)
);

-- --- Backups ---

-- A backup that was made by command: what it became, and whether it was restored for trial with as many rows. The folder it
-- lies in may be of another machine: this table says what was there.
CREATE TABLE backup (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    file text NOT NULL,
    host text NOT NULL,
    made_by text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'lost')),
    begun_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),  -- whoever makes it said so
    ended_at timestamptz,
    octets bigint NOT NULL DEFAULT 0,
    sha256 text NOT NULL DEFAULT '',
    rows bigint,                                 -- of all tables, as of the moment that it shows
    tables int,
    schema_version int NOT NULL,
    problem text NOT NULL DEFAULT '',
    gone_at timestamptz,                         -- its file was removed for newer ones
    tried_at timestamptz,                        -- restored for trial: the last time
    tried_by text NOT NULL DEFAULT '',
    tried_seconds int,
    tried_well boolean,                          -- each table had as many rows
    tried_problem text NOT NULL DEFAULT '',
    tried_in text NOT NULL DEFAULT ''            -- the folder of a trial under way, or of one that was killed
);
CREATE UNIQUE INDEX backup_one ON backup ((true)) WHERE state = 'running';
CREATE INDEX backup_good ON backup (begun_at) WHERE state = 'done';

-- A restore of a backup into this database. A node compares the newest life with the one that its data directory was of: what
-- lies there from before (journal, spool) is about a past that the database does not have.
CREATE TABLE restoration (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    life text NOT NULL UNIQUE CHECK (life ~ '^[0-9a-f]{32}$'),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    shows timestamptz,    -- the moment of the backup; NULL: it does not say
    file text NOT NULL,
    sha256 text NOT NULL,
    host text NOT NULL,
    made_by text NOT NULL,
    seconds int NOT NULL,
    done jsonb NOT NULL   -- how many of what were set so that nothing is sent by itself
);
