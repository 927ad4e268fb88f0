-- What people are about to send: the steps of the wizard as far as they have come, and what was found about the numbers.
CREATE TABLE send_draft (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    owner_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) BETWEEN 16 AND 64),
    kind text NOT NULL CHECK (kind IN ('same', 'own')),
    subject text NOT NULL DEFAULT '' CHECK (length(subject) <= 64),
    state text NOT NULL CHECK (octet_length(state) <= 262144),
    survey text CHECK (octet_length(survey) <= 262144),
    survey_of text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_id, key)
);
CREATE INDEX send_draft_owner ON send_draft (owner_id, updated_at);
