-- People: departments, logins, roles, second factors, sessions, and what they like.

-- A department; departments form a tree.
CREATE TABLE department (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    parent_id bigint REFERENCES department CHECK (parent_id <> id),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    manager_id bigint,                           -- sees the department and all below it
    month_quota bigint CHECK (month_quota > 0),  -- parts; NULL: none of its own
    removed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX department_name ON department (COALESCE(parent_id, 0), name) WHERE removed_at IS NULL;
CREATE INDEX department_parent ON department (parent_id);

-- Where a department has been in the tree since a moment: of every moment can be said what it was part of.
CREATE TABLE department_place (
    department_id bigint NOT NULL REFERENCES department,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    parent_id bigint REFERENCES department,
    PRIMARY KEY (department_id, since)
);

-- A person who logs in to the portal.
CREATE TABLE staff (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    login text NOT NULL UNIQUE,
    name text NOT NULL DEFAULT '',
    role text,                      -- not used any more: staff_role
    password_hash text NOT NULL,
    must_change boolean NOT NULL DEFAULT false,
    failures int NOT NULL DEFAULT 0,
    locked_until timestamptz,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped', 'removed')),
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    department_id bigint REFERENCES department,
    phone text NOT NULL DEFAULT '',
    phone_verified_at timestamptz,  -- login codes go to a number only when it has been shown to be theirs
    email text NOT NULL DEFAULT '',
    password_changed_at timestamptz NOT NULL DEFAULT now(),
    last_login_ip inet,
    forgiven_at timestamptz         -- wrong tries from before count no more
);
CREATE INDEX staff_department ON staff (department_id);
CREATE INDEX staff_forgiven ON staff (forgiven_at) WHERE forgiven_at IS NOT NULL;
ALTER TABLE department ADD FOREIGN KEY (manager_id) REFERENCES staff;
SELECT config_watch('department', 'accounts');

-- A role: permissions (core/permissions.py) and a data scope, which people are given together.
CREATE TABLE role (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9_-]{0,31}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    builtin boolean NOT NULL DEFAULT false,  -- comes with the program: neither changed nor removed
    everything boolean NOT NULL DEFAULT false CHECK (builtin OR NOT everything),  -- whatever permissions there are
    permissions text[] NOT NULL DEFAULT '{}',
    scope text NOT NULL CHECK (scope IN ('own', 'department', 'below', 'accounts', 'all')),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO role (code, name, builtin, everything, scope, permissions) VALUES
    ('super', '平台超管', true, true, 'all', '{}'),
    ('sysadmin', '系统管理员', true, false, 'all',
     '{home.view,alarm.view,account.view,account.edit,account.stop,department.view,department.edit,
       person.view,person.edit,person.reset,person.stop,person.grant,role.view,role.edit,
       setting.view,setting.edit,node.view,notice.edit,alarm.edit,wall.edit}'),
    ('secadmin', '安全管理员', true, false, 'all',
     '{home.view,person.view,role.view,security.view,security.edit}'),
    ('auditor', '安全审计员', true, false, 'all',
     '{home.view,alarm.view,statistics.view,message.view,message.read,person.view,role.view,
       audit.view,audit.export}'),
    ('admin', '业务管理员', true, false, 'all',
     '{home.view,alarm.view,channel.view,statistics.view,statistics.export,message.send,message.view,
       message.read,message.unmask,message.export,message.cancel,inbound.view,inbound.handle,
       inbound.export,event.view,event.repeat,task.view,task.edit,review.view,review.decide,
       contact.view,contact.edit,contact.export,block.view,block.edit,allow.view,allow.edit,
       complaint.view,complaint.edit,number.view,sign.view,sign.edit,sign.decide,template.view,
       template.edit,template.decide,filing.view,filing.edit,filing.decide,word.view,word.edit,
       policy.view,policy.edit,balance.view,account.view,account.edit,account.stop,key.view,
       key.edit,webhook.view,webhook.edit,partner.view,department.view,department.edit,person.view,
       person.edit,person.reset,person.stop,person.grant,role.view,job.edit,notice.edit,
       scenario.edit,alarm.edit,ticket.view,ticket.edit,ticket.handle,link.view,link.edit,
       link.decide,link.export}'),
    ('dept', '部门管理员', true, false, 'below',
     '{home.view,statistics.view,statistics.export,message.send,message.view,message.read,
       message.export,message.cancel,inbound.view,inbound.handle,inbound.export,task.view,task.edit,
       contact.view,contact.edit,contact.export,block.view,template.view,template.edit,sign.view,
       balance.view,department.view,person.view,person.edit,person.reset,person.stop,person.grant,
       job.edit,scenario.edit,ticket.view,ticket.edit,link.view,link.edit,link.export}'),
    ('operator', '操作员', true, false, 'accounts',
     '{home.view,statistics.view,message.send,message.view,message.read,message.cancel,inbound.view,
       inbound.handle,task.view,task.edit,contact.view,contact.edit,template.view,template.edit,
       sign.view,balance.view,job.edit,ticket.view,ticket.edit,link.view,link.edit}'),
    ('reviewer', '审核员', true, false, 'all',
     '{home.view,statistics.view,review.view,review.decide,word.view,word.edit,sign.view,
       sign.decide,template.view,template.decide,filing.view,filing.decide,link.view,link.decide}'),
    ('finance', '财务', true, false, 'all',
     '{home.view,statistics.view,statistics.export,message.view,account.view,balance.view,
       balance.edit}'),
    ('ops', '运维', true, false, 'all',
     '{home.view,alarm.view,alarm.handle,channel.view,channel.edit,channel.test,route.view,
       route.edit,code.view,code.edit,statistics.view,message.view,message.read,message.resolve,
       inbound.view,event.view,event.repeat,number.view,number.edit,block.view,block.edit,
       partner.view,partner.kick,node.view,node.edit,job.edit,statistics.edit,message.wire,
       alarm.edit,wall.edit,ticket.view,ticket.edit,ticket.handle}'),
    ('dev', '对接开发', true, false, 'accounts',
     '{home.view,statistics.view,message.view,message.read,key.view,key.edit,webhook.view,
       webhook.edit,event.view,event.repeat}');
SELECT config_watch('role', 'roles');

-- A role that a person has.
CREATE TABLE staff_role (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    role_id bigint NOT NULL REFERENCES role,
    PRIMARY KEY (staff_id, role_id)
);
CREATE INDEX staff_role_role ON staff_role (role_id);

-- A permission that a person has beyond the roles, or that is withheld from the person.
CREATE TABLE staff_permission (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    permission text NOT NULL,
    allowed boolean NOT NULL,
    PRIMARY KEY (staff_id, permission)
);

-- --- Logging in ---

-- The one row: what is asked of passwords beyond that they cannot be guessed.
CREATE TABLE password_policy (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    history int NOT NULL DEFAULT 5 CHECK (history BETWEEN 0 AND 24),  -- so many earlier ones are not taken again
    days int NOT NULL DEFAULT 0 CHECK (days BETWEEN 0 AND 3650),  -- 0: good for ever
    length int NOT NULL DEFAULT 10 CHECK (length BETWEEN 10 AND 64),
    classes int NOT NULL DEFAULT 3 CHECK (classes BETWEEN 3 AND 4)  -- kinds of characters
);
INSERT INTO password_policy (days) VALUES (90);

-- The one row: what is demanded of every login (docs/adr/044), how long sessions live. Demands of everybody, of the
-- roles and of the person hold together, and so do the networks: one of the factors, or every one; none: no demand.
CREATE TABLE login_policy (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    factors text[] NOT NULL DEFAULT '{}' CHECK (factors <@ '{sms,totp,passkey}'),
    every boolean NOT NULL DEFAULT false,
    networks cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(networks) <= 100),
    enrol_reset boolean NOT NULL DEFAULT false,  -- a first factor is set up only with a one-time password
    idle_minutes int NOT NULL DEFAULT 30 CHECK (idle_minutes BETWEEN 5 AND 1440),
    session_hours int NOT NULL DEFAULT 12 CHECK (session_hours BETWEEN 1 AND 168),
    sessions int NOT NULL DEFAULT 10 CHECK (sessions BETWEEN 1 AND 100),  -- of one person at the same time
    sms_accounts bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(sms_accounts) <= 4),  -- that send login codes, in turn
    sms_text text NOT NULL DEFAULT '您的登录验证码为{code}，5分钟内有效。如非本人操作，请立即修改密码。'
        CHECK (sms_text LIKE '%{code}%' AND length(sms_text) <= 200)
);
INSERT INTO login_policy DEFAULT VALUES;

-- What is demanded of the logins of everybody with a role.
CREATE TABLE role_login (
    role_id bigint PRIMARY KEY REFERENCES role ON DELETE CASCADE,
    factors text[] NOT NULL DEFAULT '{}' CHECK (factors <@ '{sms,totp,passkey}'),
    every boolean NOT NULL DEFAULT false,
    networks cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(networks) <= 100)
);

-- What is demanded of the logins of one person.
CREATE TABLE staff_login (
    staff_id bigint PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    factors text[] NOT NULL DEFAULT '{}' CHECK (factors <@ '{sms,totp,passkey}'),
    every boolean NOT NULL DEFAULT false,
    networks cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(networks) <= 100)
);

-- A password that a person had until a moment, so that it is not taken again.
CREATE TABLE staff_password (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    until timestamptz NOT NULL DEFAULT clock_timestamp(),
    password_hash text NOT NULL,
    PRIMARY KEY (staff_id, until)
);

-- A person's authenticator app.
CREATE TABLE staff_totp (
    staff_id bigint PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    secret_sealed bytea NOT NULL,
    confirmed_at timestamptz,             -- NULL: shown, and not proven yet
    last_step bigint NOT NULL DEFAULT 0   -- a code is good once
);

-- A passkey of a person.
CREATE TABLE staff_passkey (
    credential_id bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL DEFAULT 0,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    rp_id text NOT NULL DEFAULT ''   -- the host that it is for
);
CREATE INDEX staff_passkey_staff ON staff_passkey (staff_id);

-- A recovery code of a person; good once.
CREATE TABLE staff_recovery_code (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    code_sha256 bytea NOT NULL,
    used_at timestamptz,
    expires_at timestamptz,  -- of one that an administrator has made; NULL: of the person's own
    PRIMARY KEY (staff_id, code_sha256)
);

-- The last code that was sent to a person's phone.
CREATE TABLE staff_sms_code (
    staff_id bigint PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    phone text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('login', 'phone')),
    code_mac bytea NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    tries int NOT NULL DEFAULT 0,
    day date,
    sent_today int NOT NULL DEFAULT 0
);

-- A login whose password was right and whose second factor is not shown yet: no session, and never becomes one.
CREATE TABLE portal_login (
    token_sha256 bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    password_hash text NOT NULL,  -- that was right; another one by now ends it
    ip inet,
    agent text NOT NULL DEFAULT '',
    proven text[] NOT NULL DEFAULT '{}',
    challenge bytea,              -- of a passkey; good once
    tries int NOT NULL DEFAULT 0,
    sent int NOT NULL DEFAULT 0,  -- codes to the phone
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX portal_login_staff ON portal_login (staff_id);

-- A session of a person in the portal. It is listed and ended by a number that is no secret.
CREATE TABLE portal_session (
    token_sha256 bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    csrf text NOT NULL,
    ip inet,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    agent text NOT NULL DEFAULT '',                -- the browser, as it calls itself
    factors text[] NOT NULL DEFAULT '{}',
    proven_at timestamptz NOT NULL DEFAULT now(),  -- the password or a factor was shown
    factor_at timestamptz,                         -- an app or a passkey was
    challenge bytea,
    former_login_at timestamptz,
    former_login_ip inet
);
CREATE INDEX portal_session_staff ON portal_session (staff_id);

-- A screen on a wall that shows the board without a person. It was let in by a code that somebody with the right has
-- made, good once and for minutes; it ends at its time, when somebody ends it, and with who has made it. Of code and token
-- the hashes are kept.
CREATE TABLE wall_screen (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
    maker_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    code_sha256 bytea UNIQUE,   -- NULL: used, or over
    code_until timestamptz NOT NULL,
    token_sha256 bytea UNIQUE,  -- NULL: nobody has come with the code yet
    opened_at timestamptz,
    seen_at timestamptz,
    seen_ip inet,
    ended_at timestamptz,
    ended_by text NOT NULL DEFAULT '',
    CHECK ((token_sha256 IS NULL) = (opened_at IS NULL))
);
CREATE INDEX wall_screen_until ON wall_screen (until, id);

-- --- What they like and see ---

-- How a list is shown to a person, and the like: a value under a name.
CREATE TABLE staff_preference (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    value jsonb NOT NULL CHECK (length(value::text) <= 4096),
    PRIMARY KEY (staff_id, name)
);

-- A filter of a list that a person keeps under a name.
CREATE TABLE staff_view (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    page text NOT NULL CHECK (length(page) BETWEEN 1 AND 64),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 40),
    query text NOT NULL CHECK (length(query) <= 2000),
    UNIQUE (staff_id, page, name)
);

-- How many whole numbers a person was shown on a day (China). Days that are over are forgotten with the next one.
CREATE TABLE unmask_day (
    actor text NOT NULL,
    day date NOT NULL,
    shown int NOT NULL,
    PRIMARY KEY (actor, day)
);
