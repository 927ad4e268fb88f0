-- Contacts of an account, and audiences made of them.
CREATE TABLE contact (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    number text NOT NULL,                    -- E.164 digits
    name text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    fields jsonb NOT NULL DEFAULT '{}',      -- values for the variables of texts
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, number)
);
CREATE INDEX contact_page ON contact (account_id, id);
CREATE INDEX contact_tags ON contact USING gin (tags);
CREATE TABLE audience (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, name)
);
CREATE TABLE audience_member (
    audience_id bigint NOT NULL REFERENCES audience ON DELETE CASCADE,
    contact_id bigint NOT NULL REFERENCES contact ON DELETE CASCADE,
    PRIMARY KEY (audience_id, contact_id)
);
CREATE INDEX audience_member_contact ON audience_member (contact_id);
-- An account's own entries, newest first.
CREATE INDEX block_list_account ON block_list (account_id, version) WHERE account_id <> 0 AND removed_at IS NULL;
