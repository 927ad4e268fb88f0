-- Scenarios (业务场景): what a kind of sending always has, so that who sends picks it and need not know the details.
CREATE TABLE scenario (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 40),
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 200),
    type text NOT NULL CHECK (type IN ('otp', 'notice', 'marketing')),
    sign text NOT NULL DEFAULT '',               -- '': any that the account may use, as is an empty extension
    template_id bigint REFERENCES template,      -- NULL: any text
    extend_code text NOT NULL DEFAULT '',
    valid_minutes int CHECK (valid_minutes BETWEEN 1 AND 43200),
    window_from text NOT NULL DEFAULT '',        -- HH:MM in China; both or none
    window_to text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz,
    UNIQUE (account_id, name)
);
UPDATE role SET permissions = permissions || '{scenario.edit}' WHERE builtin AND code IN ('admin', 'dept')
    AND NOT 'scenario.edit' = ANY (permissions);

-- Drafts and phrases that came by the interface are the account's: nobody's own.
ALTER TABLE send_draft ALTER COLUMN owner_id DROP NOT NULL;
ALTER TABLE send_draft ADD COLUMN account_id bigint REFERENCES account,
    ADD CHECK ((owner_id IS NULL) <> (account_id IS NULL)), ADD UNIQUE (account_id, key);
CREATE INDEX send_draft_account ON send_draft (account_id, updated_at) WHERE account_id IS NOT NULL;
ALTER TABLE phrase ALTER COLUMN owner_id DROP NOT NULL;
ALTER TABLE phrase ADD CHECK (owner_id IS NOT NULL OR account_id IS NOT NULL);
