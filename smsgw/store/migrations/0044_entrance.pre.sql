-- The entrance: what passwords are like, which second factors are asked for, from where one may log in, how long a session
-- lives (docs/adr/044).
ALTER TABLE password_policy
    ALTER COLUMN history SET DEFAULT 5,
    ADD COLUMN length int NOT NULL DEFAULT 10 CHECK (length BETWEEN 10 AND 64),
    ADD COLUMN classes int NOT NULL DEFAULT 3 CHECK (classes BETWEEN 3 AND 4);  -- kinds of characters
UPDATE password_policy SET history = GREATEST(history, 5),
    days = CASE WHEN EXISTS (SELECT FROM staff) THEN days ELSE 90 END;          -- nobody's password is too old by an upgrade

-- Demands: one of these factors, or every one. Those of everybody, of the roles and of the person hold together, and so do
-- the networks; none: no demand.
CREATE TABLE login_policy (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    factors text[] NOT NULL DEFAULT '{}' CHECK (factors <@ '{sms,totp,passkey}'),
    every boolean NOT NULL DEFAULT false,
    networks cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(networks) <= 100),
    enrol_reset boolean NOT NULL DEFAULT false,  -- a first factor is set up only with a one-time password
    idle_minutes int NOT NULL DEFAULT 30 CHECK (idle_minutes BETWEEN 5 AND 1440),
    session_hours int NOT NULL DEFAULT 12 CHECK (session_hours BETWEEN 1 AND 168),
    sessions int NOT NULL DEFAULT 10 CHECK (sessions BETWEEN 1 AND 100),         -- of one person at the same time
    sms_accounts bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(sms_accounts) <= 4),  -- that send login codes, in turn
    sms_text text NOT NULL DEFAULT '您的登录验证码为{code}，5分钟内有效。如非本人操作，请立即修改密码。'
        CHECK (sms_text LIKE '%{code}%' AND length(sms_text) <= 200)
);
INSERT INTO login_policy DEFAULT VALUES;
CREATE TABLE role_login (
    role_id bigint PRIMARY KEY REFERENCES role ON DELETE CASCADE,
    factors text[] NOT NULL DEFAULT '{}' CHECK (factors <@ '{sms,totp,passkey}'),
    every boolean NOT NULL DEFAULT false,
    networks cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(networks) <= 100)
);
CREATE TABLE staff_login (
    staff_id bigint PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    factors text[] NOT NULL DEFAULT '{}' CHECK (factors <@ '{sms,totp,passkey}'),
    every boolean NOT NULL DEFAULT false,
    networks cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(networks) <= 100)
);

-- Logins whose password was right and whose second factor is not shown yet: no sessions, and never become one.
CREATE TABLE portal_login (
    token_sha256 bytea PRIMARY KEY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    password_hash text NOT NULL,                 -- that was right; another one by now ends it
    ip inet,
    agent text NOT NULL DEFAULT '',
    proven text[] NOT NULL DEFAULT '{}',
    challenge bytea,                             -- of a passkey; good once
    tries int NOT NULL DEFAULT 0,
    sent int NOT NULL DEFAULT 0,                 -- codes to the phone
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX portal_login_staff ON portal_login (staff_id);

ALTER TABLE portal_session
    ADD COLUMN agent text NOT NULL DEFAULT '',   -- the browser, as it calls itself
    ADD COLUMN factors text[] NOT NULL DEFAULT '{}',
    ADD COLUMN proven_at timestamptz NOT NULL DEFAULT now(),  -- the password or a factor was shown
    ADD COLUMN factor_at timestamptz,            -- an app or a passkey was
    ADD COLUMN challenge bytea,
    ADD COLUMN former_login_at timestamptz,
    ADD COLUMN former_login_ip inet;
ALTER TABLE staff
    ADD COLUMN last_login_ip inet,
    ADD COLUMN forgiven_at timestamptz;          -- wrong tries from before count no more
CREATE INDEX staff_forgiven ON staff (forgiven_at) WHERE forgiven_at IS NOT NULL;
ALTER TABLE staff_sms_code
    ADD COLUMN day date,
    ADD COLUMN sent_today int NOT NULL DEFAULT 0;
ALTER TABLE staff_passkey ADD COLUMN rp_id text NOT NULL DEFAULT '';  -- the host that it is for
