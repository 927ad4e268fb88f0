-- What a carrier has said of a signature or template (报备), in full: its number, the day it answered, until when a
-- signature is good there. That one is over is told by expires_at, and never written.
ALTER TABLE registration
    DROP CONSTRAINT registration_state_check,
    ADD CONSTRAINT registration_state_check CHECK (state IN ('pending', 'submitted', 'registered', 'refused')),
    ADD COLUMN code text NOT NULL DEFAULT '',
    ADD COLUMN answered_on date,
    ADD COLUMN expires_at timestamptz;
SELECT config_watch('registration', 'content');
CREATE INDEX registration_ends ON registration (expires_at) WHERE state = 'registered' AND expires_at IS NOT NULL;

-- Documents that entitle to a signature. The octets are the file store's, as long as a row means them.
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

-- What people were reminded of: each end of a signature, or of its registration, once at each distance in days.
CREATE TABLE sign_reminder (
    sign_id bigint NOT NULL REFERENCES sign,
    carrier text NOT NULL,                   -- empty: the signature itself
    expires_at timestamptz NOT NULL,
    days int NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sign_id, carrier, expires_at, days)
);
