-- Who has applied for a signature or a template, and since when nobody may use it any more.
ALTER TABLE sign
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN stopped_at timestamptz;
ALTER TABLE template
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN stopped_at timestamptz;

-- What has happened to one of them, for its page.
CREATE INDEX audit_content ON audit (object, id) WHERE object LIKE 'sign/%' OR object LIKE 'template/%';

-- Texts that people keep to be put into a message: for themselves, for a department and all below it, or for an account.
CREATE TABLE phrase (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    owner_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    department_id bigint REFERENCES department,
    account_id bigint REFERENCES account,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 40),
    content text NOT NULL CHECK (length(content) BETWEEN 1 AND 500),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (department_id IS NULL OR account_id IS NULL)
);
CREATE INDEX phrase_owner ON phrase (owner_id);
CREATE INDEX phrase_department ON phrase (department_id) WHERE department_id IS NOT NULL;
CREATE INDEX phrase_account ON phrase (account_id) WHERE account_id IS NOT NULL;
