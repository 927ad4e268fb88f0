-- Content: signatures, templates, filed links, words and policies, phrases, materials, brands.

-- A signature that an account has applied for, and what the reviewer says.
CREATE TABLE sign (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    sign text NOT NULL,
    source text NOT NULL DEFAULT '',  -- company, brand, app …: what entitles to it
    note text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'refused')),
    reason text NOT NULL DEFAULT '',
    reviewed_by text NOT NULL DEFAULT '',
    reviewed_at timestamptz,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT '',
    stopped_at timestamptz,           -- since when nobody may use it any more
    UNIQUE (account_id, sign),
    CONSTRAINT sign_expires_at_bounds CHECK (expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
SELECT config_watch('sign', 'content');

-- A template of an account, and what the reviewer says.
CREATE TABLE template (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (START WITH 10001),
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('otp', 'notice', 'marketing')),
    content text NOT NULL,
    variables jsonb NOT NULL DEFAULT '{}',  -- name -> {"form": …, "most": …}
    sign text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'refused')),
    reason text NOT NULL DEFAULT '',
    reviewed_by text NOT NULL DEFAULT '',
    reviewed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT '',
    stopped_at timestamptz,                 -- since when nobody may use it any more
    UNIQUE (account_id, name)
);
SELECT config_watch('template', 'content');

-- What a carrier says of a signature or template (报备): its number, the day it answered, until when a signature is good
-- there. That one is over is told by expires_at, and never written.
CREATE TABLE registration (
    kind text NOT NULL CHECK (kind IN ('sign', 'template')),
    id bigint NOT NULL,
    carrier text NOT NULL CHECK (carrier IN ('CMCC', 'CUCC', 'CTCC', 'CBN')),
    state text NOT NULL CHECK (state IN ('pending', 'submitted', 'registered', 'refused')),
    note text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    code text NOT NULL DEFAULT '',
    answered_on date,
    expires_at timestamptz,
    PRIMARY KEY (kind, id, carrier),
    CONSTRAINT registration_answered_on_bounds CHECK (answered_on BETWEEN '2000-01-01' AND '2100-01-01'),
    CONSTRAINT registration_expires_at_bounds CHECK (expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
CREATE INDEX registration_ends ON registration (expires_at) WHERE state = 'registered' AND expires_at IS NOT NULL;
SELECT config_watch('registration', 'content');

-- A document that entitles to a signature. The octets are the file store's, as long as a row means them.
CREATE TABLE sign_proof (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    sign_id bigint NOT NULL REFERENCES sign,
    kind text NOT NULL CHECK (kind IN ('license', 'authorization', 'trademark', 'identity', 'receipt', 'other')),
    carrier text NOT NULL DEFAULT '' CHECK (carrier IN ('', 'CMCC', 'CUCC', 'CTCC', 'CBN')),  -- empty: all
    file_id bigint NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sign_proof_sign ON sign_proof (sign_id, id);
CREATE INDEX sign_proof_file ON sign_proof (file_id);

-- An end of a signature, or of its registration, that people were reminded of: once at each distance in days.
CREATE TABLE sign_reminder (
    sign_id bigint NOT NULL REFERENCES sign,
    carrier text NOT NULL,  -- empty: the signature itself
    expires_at timestamptz NOT NULL,
    days int NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sign_id, carrier, expires_at, days)
);

-- An extension that a signature of an account has of its own; without one the account's counts.
CREATE TABLE sign_code (
    account_id bigint NOT NULL REFERENCES account,
    sign text NOT NULL,
    extend_code text NOT NULL CHECK (extend_code ~ '^[0-9]{1,12}$'),
    PRIMARY KEY (account_id, sign)
);
SELECT config_watch('sign_code', 'access_codes');

-- A link that an account has filed (链接报备): a domain, or the beginning of a path; account_id 0: everybody's.
CREATE TABLE filed_link (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL DEFAULT 0,
    target text NOT NULL,           -- host in lower case, then the path
    icp text NOT NULL DEFAULT '',   -- the site's licence number
    note text NOT NULL DEFAULT '',  -- what it shows, and what proves it
    actor text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (target, account_id)
);
SELECT config_watch('filed_link', 'url_filings');

-- What a carrier says of a filed link; without a word of a carrier it is pending there.
CREATE TABLE filed_link_state (
    link_id bigint NOT NULL REFERENCES filed_link ON DELETE CASCADE,
    carrier text NOT NULL CHECK (carrier IN ('CMCC', 'CUCC', 'CTCC', 'CBN')),
    state text NOT NULL CHECK (state IN ('pending', 'submitted', 'registered', 'refused')),
    note text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (link_id, carrier)
);
SELECT config_watch('filed_link_state', 'url_filings');

-- A document that proves a filed link, for a carrier or for all.
CREATE TABLE filed_link_proof (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    link_id bigint NOT NULL REFERENCES filed_link ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('icp', 'license', 'authorization', 'page', 'receipt', 'other')),
    carrier text NOT NULL DEFAULT '',  -- that it is meant for; empty: all
    file_id bigint NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX filed_link_proof_link ON filed_link_proof (link_id, id);
CREATE INDEX filed_link_proof_file ON filed_link_proof (file_id);

-- A policy where it differs from its default (core/policy.py). account_id 0: all accounts; type '': all types.
CREATE TABLE policy (
    account_id bigint NOT NULL DEFAULT 0,
    type text NOT NULL DEFAULT '',
    name text NOT NULL,
    value text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, type, name)
);
SELECT config_watch('policy', 'policies');

-- A word that a text must not have (敏感词).
CREATE TABLE word (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL DEFAULT 0,
    type text NOT NULL DEFAULT '',
    word text NOT NULL,
    category text NOT NULL DEFAULT '',
    action text NOT NULL CHECK (action IN ('block', 'review', 'replace')),
    replacement text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, type, word)
);
SELECT config_watch('word', 'words');

-- A business kind beside the fixed types (docs/adr/086). message.type stays one of those, so that whoever knows no kinds
-- reads and sends what there is; message.kind is the name of the operator's own, '': none.
CREATE TABLE message_kind (
    name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{1,31}$'),
    label text NOT NULL,
    base text NOT NULL CHECK (base IN ('otp', 'notice', 'marketing')),
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz   -- they are never deleted: records and figures name them
);
CREATE UNIQUE INDEX message_kind_label ON message_kind (label) WHERE retired_at IS NULL;
SELECT config_watch('message_kind', 'kinds');

-- A text that is kept to be put into a message: for a person, for a department and all below it, or for an account.
-- Without an owner it came by the API and is the account's.
CREATE TABLE phrase (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    owner_id bigint REFERENCES staff ON DELETE CASCADE,
    department_id bigint REFERENCES department,
    account_id bigint REFERENCES account,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 40),
    content text NOT NULL CHECK (length(content) BETWEEN 1 AND 500),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (department_id IS NULL OR account_id IS NULL),
    CHECK (owner_id IS NOT NULL OR account_id IS NOT NULL)
);
CREATE INDEX phrase_owner ON phrase (owner_id);
CREATE INDEX phrase_department ON phrase (department_id) WHERE department_id IS NOT NULL;
CREATE INDEX phrase_account ON phrase (account_id) WHERE account_id IS NOT NULL;

-- A picture, sound or film that is kept for messages: made anew or emptied of all else when it comes, and usable once
-- somebody else has looked at it. The octets lie in the file store.
CREATE TABLE material (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    kind text NOT NULL CHECK (kind IN ('picture', 'audio', 'video')),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 60),
    tags text[] NOT NULL DEFAULT '{}',
    file_id bigint NOT NULL,
    sha256 bytea NOT NULL,          -- of what is kept
    media_type text NOT NULL,
    size bigint NOT NULL,
    width int NOT NULL DEFAULT 0,   -- pixels; 0: it has none
    height int NOT NULL DEFAULT 0,
    millis int NOT NULL DEFAULT 0,  -- how long it plays; 0: it stands still
    thumbnail bytea,                -- WebP; none of what is heard or moves
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'approved', 'rejected')),
    answer text NOT NULL DEFAULT '',
    taken int NOT NULL DEFAULT 0,   -- how often it was taken away to be used
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    UNIQUE (account_id, sha256)
);
CREATE INDEX material_file ON material (file_id);

-- A brand of the portal (platform/brand): what is published, and a draft beside it.
CREATE TABLE brand (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    published jsonb,                       -- core.brand.Look; NULL: not yet
    published_at timestamptz,
    draft jsonb NOT NULL,
    drafted_at timestamptz NOT NULL DEFAULT now(),
    certificate text NOT NULL DEFAULT '',  -- PEM, the chain; '': the listener's own
    key_sealed bytea                       -- its key, sealed
);
SELECT config_watch('brand', 'brands', '{draft,drafted_at}');

-- A host that has a brand.
CREATE TABLE brand_host (
    host text PRIMARY KEY,
    brand_id bigint NOT NULL REFERENCES brand ON DELETE CASCADE
);
CREATE INDEX brand_host_brand ON brand_host (brand_id);
SELECT config_watch('brand_host', 'brands');

-- A picture of brands. Small and shown by every node: that is why it is not in a node's folder of files.
CREATE TABLE brand_picture (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    media_type text NOT NULL,
    octets bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
