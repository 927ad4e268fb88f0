-- Audience: contacts and groups, and what is known of numbers: lists, consents, status, complaints.

-- A contact of an account: of a person, of a department and all below it, or of everybody who sees the account. What came
-- by the API is the account's.
CREATE TABLE contact (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    number text NOT NULL,                -- E.164 digits
    name text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    fields jsonb NOT NULL DEFAULT '{}',  -- values for the variables of texts
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    owner_id bigint REFERENCES staff ON DELETE SET NULL,
    shared text NOT NULL DEFAULT 'account' CHECK (shared IN ('own', 'department', 'account')),
    department_id bigint REFERENCES department ON DELETE SET NULL,
    UNIQUE (account_id, number)
);
CREATE INDEX contact_page ON contact (account_id, id);
CREATE INDEX contact_tags ON contact USING gin (tags);
CREATE INDEX contact_number ON contact (number);
CREATE INDEX contact_name ON contact (name, id);
CREATE INDEX contact_owner ON contact (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX contact_department ON contact (department_id) WHERE department_id IS NOT NULL;

-- An audience of an account: a group of contacts, or a segment (whoever has done something with the account's messages,
-- found anew whenever it is used; how many they were is kept as it was counted last). Groups lie in others of their account;
-- one whose group is forgotten lies at the top.
CREATE TABLE audience (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    owner_id bigint REFERENCES staff ON DELETE SET NULL,
    shared text NOT NULL DEFAULT 'account' CHECK (shared IN ('own', 'department', 'account')),
    department_id bigint REFERENCES department ON DELETE SET NULL,
    parent_id bigint REFERENCES audience ON DELETE SET NULL CHECK (parent_id <> id),
    segment jsonb CHECK (segment IS NULL OR parent_id IS NULL),
    counted bigint,
    counted_at timestamptz,
    counted_of text,  -- of whose messages; NULL: of anybody's
    UNIQUE (account_id, name)
);
CREATE INDEX audience_parent ON audience (parent_id) WHERE parent_id IS NOT NULL;

-- A contact that is in a group.
CREATE TABLE audience_member (
    audience_id bigint NOT NULL REFERENCES audience ON DELETE CASCADE,
    contact_id bigint NOT NULL REFERENCES contact ON DELETE CASCADE,
    PRIMARY KEY (audience_id, contact_id)
);
CREATE INDEX audience_member_contact ON audience_member (contact_id);

-- A segment has nobody as a member, and no group below it.
CREATE FUNCTION segment_no_parent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM audience WHERE id = NEW.parent_id AND segment IS NOT NULL) THEN
        RAISE EXCEPTION 'a segment has no groups below it' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER segment_no_parent BEFORE INSERT OR UPDATE OF parent_id ON audience
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION segment_no_parent();

CREATE FUNCTION segment_no_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added n JOIN audience a ON a.id = n.audience_id WHERE a.segment IS NOT NULL) THEN
        RAISE EXCEPTION 'a segment has no members' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER segment_no_members AFTER INSERT ON audience_member
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION segment_no_members();

-- --- Lists ---

CREATE SEQUENCE block_version;

-- A number that gets nothing, or nothing of a kind. Conditions that are empty (0, '') hold always; those that are given
-- must all hold. A removed entry stays for a while as the news of its removal. Writers take turns (an advisory lock), so
-- versions become visible in their order.
CREATE TABLE block_list (
    number bigint NOT NULL,  -- E.164 digits
    account_id bigint NOT NULL DEFAULT 0,
    type text NOT NULL DEFAULT '',
    sign text NOT NULL DEFAULT '',
    source text NOT NULL CHECK (source IN ('manual', 'opt_out', 'complaint', 'carrier')),
    reason text NOT NULL DEFAULT '',
    actor text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    removed_at timestamptz,
    version bigint NOT NULL DEFAULT nextval('block_version'),
    PRIMARY KEY (number, account_id, type, sign),
    CONSTRAINT block_list_since_bounds CHECK (since BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08'),
    CONSTRAINT block_list_expires_at_bounds CHECK (expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
CREATE INDEX block_list_version ON block_list (version);
-- An account's own entries, newest first.
CREATE INDEX block_list_account ON block_list (account_id, version) WHERE account_id <> 0 AND removed_at IS NULL;

-- A wish to undo an opt-out: with the file that proves that the owner wants it, and decided by a second person.
CREATE TABLE optout_undo (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number bigint NOT NULL,      -- E.164 digits
    account_id bigint NOT NULL,  -- with type and sign the scope of the opt-out; 0: everybody's
    type text NOT NULL,
    sign text NOT NULL,
    entry bigint NOT NULL,       -- its version: an opt-out that has come anew is not meant
    opted_out_at timestamptz NOT NULL,
    reason text NOT NULL,
    proof_file bigint NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'passed', 'rejected')),
    answer text NOT NULL DEFAULT '',
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz
);
CREATE UNIQUE INDEX optout_undo_open ON optout_undo (number, account_id, type, sign) WHERE state = 'waiting';
CREATE INDEX optout_undo_account ON optout_undo (account_id, id);
CREATE INDEX optout_undo_file ON optout_undo (proof_file);

-- A number that one of the carriers keeps from getting anything, and is asked to lift.
CREATE TABLE carrier_lift (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number bigint NOT NULL,                -- E.164 digits
    carrier text NOT NULL,
    account_id bigint NOT NULL DEFAULT 0,  -- whose messages it is about; 0: everybody's
    code text NOT NULL DEFAULT '',         -- what the carrier has said, as it came
    reason text NOT NULL,                  -- why it should be lifted
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'sent', 'lifted', 'refused')),
    answer text NOT NULL DEFAULT '',       -- what was said at the last step
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    decided_at timestamptz,
    changed_by text NOT NULL
);
CREATE UNIQUE INDEX carrier_lift_open ON carrier_lift (number, account_id) WHERE state IN ('asked', 'sent');
CREATE INDEX carrier_lift_account ON carrier_lift (account_id, id);

-- A number that is treated better, or that alone may be sent to.
CREATE TABLE allow_list (
    number text NOT NULL,  -- E.164 digits
    account_id bigint NOT NULL DEFAULT 0,
    kind text NOT NULL CHECK (kind IN ('exempt', 'only', 'test')),
    note text NOT NULL DEFAULT '',
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (number, account_id, kind)
);
CREATE UNIQUE INDEX allow_list_id ON allow_list (id);
SELECT config_watch('allow_list', 'lists');

CREATE SEQUENCE consent_version;

-- A consent of a number to marketing of an account, how it is proven, and its withdrawal. A row is never removed, nor is
-- what it proves ever changed: each entry is a row, of which one is in force. Writers take turns, so versions become visible
-- in their order. A file that proves it stays in the file store as long as a row means it.
CREATE TABLE consent (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account,
    number bigint NOT NULL,                   -- E.164 digits
    source text NOT NULL CHECK (source IN ('paper', 'web', 'app', 'sms', 'call', 'other')),
    wording text NOT NULL DEFAULT '',         -- what was agreed to, or its version
    proof text NOT NULL,                      -- where it can be looked at
    given_at timestamptz NOT NULL,
    entered_by text NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_at timestamptz,
    withdrawn_by text NOT NULL DEFAULT '',
    withdrawal text NOT NULL DEFAULT '',      -- how it was
    replaced boolean NOT NULL DEFAULT false,  -- it was not the owner: a newer proof has taken its place
    version bigint NOT NULL DEFAULT nextval('consent_version'),
    proof_file bigint,
    CONSTRAINT consent_given_at_bounds CHECK (given_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
CREATE UNIQUE INDEX consent_in_force ON consent (account_id, number) WHERE withdrawn_at IS NULL;
CREATE UNIQUE INDEX consent_version_key ON consent (version);
CREATE INDEX consent_number ON consent (number, account_id, id);
CREATE INDEX consent_account ON consent (account_id, id);
CREATE INDEX consent_proof_file ON consent (proof_file) WHERE proof_file IS NOT NULL;

-- --- Numbers ---

CREATE SEQUENCE number_status_version;

-- What is known of a number (空号、停机 …): from carriers' answers and reports, or imported. A removed entry stays for a while
-- as the news of its removal. Writers take turns, so versions become visible in their order.
CREATE TABLE number_status (
    number bigint PRIMARY KEY,      -- E.164 digits
    state text NOT NULL CHECK (state IN ('empty', 'live', 'suspended', 'silent', 'risky')),
    source text NOT NULL CHECK (source IN ('report', 'import')),
    code text NOT NULL DEFAULT '',  -- the carrier's, as it came
    at timestamptz NOT NULL,        -- when it was so
    removed_at timestamptz,
    version bigint NOT NULL DEFAULT nextval('number_status_version')
);
CREATE UNIQUE INDEX number_status_version_key ON number_status (version);
CREATE INDEX number_status_old ON number_status (at);

-- The recent messages to a number (core/frequency.py), over all accounts. seq guards against who writes at once.
CREATE TABLE number_recent (
    number bigint PRIMARY KEY,  -- E.164 digits
    seq int NOT NULL,
    until bigint NOT NULL,      -- seconds since 2024-01-01: nothing of it matters after that
    sent bytea NOT NULL
) WITH (fillfactor = 70);

-- The one row: the provider of look-ups of numbers.
CREATE TABLE number_vendor (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    url text NOT NULL,
    app_id text NOT NULL,
    secret_sealed bytea NOT NULL,
    md5 boolean NOT NULL DEFAULT false,  -- numbers are told as MD5 alone
    price int NOT NULL DEFAULT 0,        -- of one number, in thousandths of a yuan
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- A list of numbers that somebody has had looked at (空号过滤): first by what is known here, then, if they wish and pay for
-- it, by the provider.
CREATE TABLE number_filter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    account_id bigint NOT NULL REFERENCES account,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    job_id bigint,                          -- the newest
    filled boolean NOT NULL DEFAULT false,  -- its numbers are all there
    invalid int NOT NULL DEFAULT 0,
    duplicates int NOT NULL DEFAULT 0,
    asked int NOT NULL DEFAULT 0,           -- numbers that the provider was asked about, …
    cost bigint NOT NULL DEFAULT 0          -- … and what that was, in thousandths of a yuan
);
CREATE INDEX number_filter_account ON number_filter (account_id, id);

-- A number of such a list, and what was found.
CREATE TABLE number_filter_row (
    filter_id bigint NOT NULL REFERENCES number_filter ON DELETE CASCADE,
    number bigint NOT NULL,          -- E.164 digits
    state text NOT NULL DEFAULT '',  -- '': nobody has been asked yet; 'unknown': nobody knows
    source text NOT NULL DEFAULT '',
    at timestamptz,                  -- when it was so
    PRIMARY KEY (filter_id, number)
);

-- --- Complaints ---

-- A complaint about messages, from where it came to the reply, and until when it has to be answered.
CREATE TABLE complaint (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    number text NOT NULL,                 -- E.164 digits
    message_id bigint,                    -- the message complained about, when it is known
    account_id bigint,
    channel_id int,
    sign text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'checking', 'answered', 'closed')),
    origin text NOT NULL DEFAULT 'user' CHECK (origin IN ('user', 'carrier', 'authority')),
    reference text NOT NULL DEFAULT '',   -- its number where it came from
    due_at timestamptz NOT NULL DEFAULT now() + interval '3 days',
    reply text NOT NULL DEFAULT '',       -- what was answered last
    changed_by text NOT NULL DEFAULT '',  -- who did the last step; empty: there was none
    changed_at timestamptz
);
CREATE INDEX complaint_at ON complaint (at);
CREATE INDEX complaint_message ON complaint (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX complaint_number ON complaint (number, id);
CREATE INDEX complaint_due ON complaint (due_at) WHERE state IN ('open', 'checking');

-- A step in which a complaint was dealt with.
CREATE TABLE complaint_step (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    complaint_id bigint NOT NULL REFERENCES complaint (id),
    state text NOT NULL,  -- where it stands after the step
    said text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX complaint_step_of ON complaint_step (complaint_id, id);

-- How many parts were accepted with a signature on a day: what complaints are held against (by channel: stat_minute).
CREATE TABLE sign_day (
    day date NOT NULL,
    node int NOT NULL,
    sign text NOT NULL,
    n bigint NOT NULL,  -- parts accepted
    PRIMARY KEY (day, node, sign)
);
