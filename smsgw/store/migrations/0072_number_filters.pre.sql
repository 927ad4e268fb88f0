-- Lists of numbers that people have looked at (空号过滤): first by what is known here, then, if they wish and pay for it,
-- by a provider of look-ups.
CREATE TABLE number_vendor (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    url text NOT NULL,
    app_id text NOT NULL,
    secret_sealed bytea NOT NULL,
    md5 boolean NOT NULL DEFAULT false,          -- numbers are told as MD5 alone
    price int NOT NULL DEFAULT 0,                -- of one number, in thousandths of a yuan
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE number_filter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    account_id bigint NOT NULL REFERENCES account,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    job_id bigint,                               -- the newest
    filled boolean NOT NULL DEFAULT false,       -- its numbers are all there
    invalid int NOT NULL DEFAULT 0,
    duplicates int NOT NULL DEFAULT 0,
    asked int NOT NULL DEFAULT 0,                -- numbers that the provider was asked about, …
    cost bigint NOT NULL DEFAULT 0               -- … and what that was, in thousandths of a yuan
);
CREATE INDEX number_filter_account ON number_filter (account_id, id);
CREATE TABLE number_filter_row (
    filter_id bigint NOT NULL REFERENCES number_filter ON DELETE CASCADE,
    number bigint NOT NULL,                      -- E.164 digits
    state text NOT NULL DEFAULT '',              -- '': nobody has been asked yet; 'unknown': nobody knows
    source text NOT NULL DEFAULT '',
    at timestamptz,                              -- when it was so
    PRIMARY KEY (filter_id, number)
);
