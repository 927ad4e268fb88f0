-- Policies where they differ from the defaults (core/policy.py). account_id 0: all accounts; type '': all types.
CREATE TABLE policy (
    account_id bigint NOT NULL DEFAULT 0,
    type text NOT NULL DEFAULT '',
    name text NOT NULL,
    value text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, type, name)
);

-- Words that a text must not have (敏感词).
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

-- Numbers that are treated better, or that alone may be sent to.
CREATE TABLE allow_list (
    number text NOT NULL,                    -- E.164 digits
    account_id bigint NOT NULL DEFAULT 0,
    kind text NOT NULL CHECK (kind IN ('exempt', 'only', 'test')),
    note text NOT NULL DEFAULT '',
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (number, account_id, kind)
);

-- Why we have refused it, for people.
ALTER TABLE message ADD COLUMN refusal text NOT NULL DEFAULT '';
