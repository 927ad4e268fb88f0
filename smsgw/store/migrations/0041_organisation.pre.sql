-- Departments, people and what they may do. Roles are rows that name permissions (core/permissions.py) and a data scope.
CREATE TABLE department (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    parent_id bigint REFERENCES department CHECK (parent_id <> id),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    manager_id bigint REFERENCES staff,      -- sees the department and all below it
    month_quota bigint CHECK (month_quota > 0),  -- parts; NULL: none of its own
    removed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX department_name ON department (COALESCE(parent_id, 0), name) WHERE removed_at IS NULL;
CREATE INDEX department_parent ON department (parent_id);

-- Where a department has been: of every moment can be said what it was part of.
CREATE TABLE department_place (
    department_id bigint NOT NULL REFERENCES department,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    parent_id bigint REFERENCES department,
    PRIMARY KEY (department_id, since)
);

ALTER TABLE account ADD COLUMN department_id bigint REFERENCES department;
CREATE INDEX account_department ON account (department_id) WHERE department_id IS NOT NULL;
SELECT config_watch('account', 'accounts', '{balance}');

ALTER TABLE staff
    ADD COLUMN department_id bigint REFERENCES department,
    ADD COLUMN phone text NOT NULL DEFAULT '',
    ADD COLUMN phone_verified_at timestamptz,    -- login codes go to a number only when it has been shown to be theirs
    ADD COLUMN email text NOT NULL DEFAULT '',
    ADD COLUMN password_changed_at timestamptz NOT NULL DEFAULT now(),
    DROP CONSTRAINT staff_status_check,
    ADD CONSTRAINT staff_status_check CHECK (status IN ('active', 'stopped', 'removed')),
    ALTER COLUMN role DROP NOT NULL,             -- earlier programs read it; it is not written any more
    DROP CONSTRAINT staff_role_check;
CREATE INDEX staff_department ON staff (department_id);

CREATE TABLE role (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    code text NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9_-]{0,31}$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    builtin boolean NOT NULL DEFAULT false,      -- comes with the program: neither changed nor removed
    everything boolean NOT NULL DEFAULT false CHECK (builtin OR NOT everything),  -- whatever permissions there are
    permissions text[] NOT NULL DEFAULT '{}',
    scope text NOT NULL CHECK (scope IN ('own', 'department', 'below', 'accounts', 'all')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE staff_role (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    role_id bigint NOT NULL REFERENCES role,
    PRIMARY KEY (staff_id, role_id)
);
CREATE INDEX staff_role_role ON staff_role (role_id);

-- The boxes of a sub-account: beyond its roles, or withheld from them.
CREATE TABLE staff_permission (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    permission text NOT NULL,
    allowed boolean NOT NULL,
    PRIMARY KEY (staff_id, permission)
);

INSERT INTO role (code, name, builtin, everything, scope, permissions) VALUES
    ('super', '平台超管', true, true, 'all', '{}'),
    ('sysadmin', '系统管理员', true, false, 'all',
     '{home.view,alarm.view,account.view,account.edit,account.stop,department.view,department.edit,person.view,person.edit,
       person.reset,person.stop,person.grant,role.view,role.edit,setting.view,setting.edit,node.view}'),
    ('secadmin', '安全管理员', true, false, 'all',
     '{home.view,person.view,role.view,security.view,security.edit}'),
    ('auditor', '安全审计员', true, false, 'all',
     '{home.view,alarm.view,statistics.view,message.view,message.read,person.view,role.view,audit.view,audit.export}'),
    ('admin', '业务管理员', true, false, 'all',
     '{home.view,alarm.view,channel.view,statistics.view,statistics.export,message.send,message.view,message.read,
       message.unmask,message.export,message.cancel,inbound.view,inbound.handle,inbound.export,event.view,event.repeat,
       task.view,task.edit,review.view,review.decide,contact.view,contact.edit,contact.export,block.view,block.edit,
       allow.view,allow.edit,complaint.view,complaint.edit,number.view,sign.view,sign.edit,sign.decide,template.view,
       template.edit,template.decide,filing.view,filing.edit,filing.decide,word.view,word.edit,policy.view,policy.edit,
       balance.view,account.view,account.edit,account.stop,key.view,key.edit,webhook.view,webhook.edit,partner.view,
       department.view,department.edit,person.view,person.edit,person.reset,person.stop,person.grant,role.view}'),
    ('dept', '部门管理员', true, false, 'accounts',
     '{home.view,statistics.view,statistics.export,message.send,message.view,message.read,message.export,message.cancel,
       inbound.view,inbound.handle,inbound.export,task.view,task.edit,contact.view,contact.edit,contact.export,block.view,
       template.view,template.edit,sign.view,balance.view,department.view,person.view,person.edit,person.reset,
       person.stop,person.grant}'),
    ('operator', '操作员', true, false, 'accounts',
     '{home.view,statistics.view,message.send,message.view,message.read,message.cancel,inbound.view,inbound.handle,
       task.view,task.edit,contact.view,contact.edit,template.view,template.edit,sign.view,balance.view}'),
    ('reviewer', '审核员', true, false, 'all',
     '{home.view,statistics.view,review.view,review.decide,word.view,word.edit,sign.view,sign.decide,template.view,
       template.decide,filing.view,filing.decide}'),
    ('finance', '财务', true, false, 'all',
     '{home.view,statistics.view,statistics.export,message.view,account.view,balance.view,balance.edit}'),
    ('ops', '运维', true, false, 'all',
     '{home.view,alarm.view,alarm.handle,channel.view,channel.edit,channel.test,route.view,route.edit,code.view,code.edit,
       statistics.view,message.view,message.read,message.resolve,inbound.view,event.view,event.repeat,number.view,
       number.edit,block.view,block.edit,partner.view,partner.kick,node.view,node.edit}'),
    ('dev', '对接开发', true, false, 'accounts',
     '{home.view,statistics.view,message.view,message.read,key.view,key.edit,webhook.view,webhook.edit,event.view,
       event.repeat}');
INSERT INTO staff_role (staff_id, role_id) SELECT s.id, r.id FROM staff s JOIN role r ON r.code = s.role;
SELECT config_watch('role', 'roles');

-- Sessions are listed and ended by a number that is no secret.
ALTER TABLE portal_session ADD COLUMN id bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE;
CREATE INDEX portal_session_staff ON portal_session (staff_id);

-- One row: what is asked of passwords beyond that they cannot be guessed.
CREATE TABLE password_policy (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    history int NOT NULL DEFAULT 0 CHECK (history BETWEEN 0 AND 24),     -- so many earlier ones are not taken again
    days int NOT NULL DEFAULT 0 CHECK (days BETWEEN 0 AND 3650)          -- 0: good for ever
);
INSERT INTO password_policy DEFAULT VALUES;
CREATE TABLE staff_password (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    until timestamptz NOT NULL DEFAULT clock_timestamp(),
    password_hash text NOT NULL,
    PRIMARY KEY (staff_id, until)
);

-- Second factors.
CREATE TABLE staff_totp (
    staff_id bigint PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    secret_sealed bytea NOT NULL,
    confirmed_at timestamptz,                -- NULL: shown, and not proven yet
    last_step bigint NOT NULL DEFAULT 0      -- a code is good once
);
CREATE TABLE staff_passkey (
    credential_id bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL DEFAULT 0,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz
);
CREATE INDEX staff_passkey_staff ON staff_passkey (staff_id);
CREATE TABLE staff_recovery_code (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    code_sha256 bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (staff_id, code_sha256)
);
CREATE TABLE staff_sms_code (
    staff_id bigint PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    phone text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('login', 'phone')),
    code_mac bytea NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    tries int NOT NULL DEFAULT 0
);
