-- How calls of the API have ended, counted by the minute; the last of each kind by its request id. Kept for three days.
CREATE TABLE api_call (
    account_id bigint NOT NULL,
    minute timestamptz NOT NULL,
    key_id text NOT NULL,
    call text NOT NULL,                      -- method and route
    code text NOT NULL,                      -- of the answer
    n int NOT NULL,
    ms_sum bigint NOT NULL,
    ms_most int NOT NULL,
    last_request text NOT NULL,
    PRIMARY KEY (account_id, minute, key_id, call, code)
);
CREATE INDEX api_call_minute ON api_call (minute);

-- Calls that were refused, with what was sent, masked: the newest of each key.
CREATE TABLE api_refused (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL,
    key_id text NOT NULL,
    proven boolean NOT NULL,                 -- false: who called has not shown to have the key
    at timestamptz NOT NULL,
    request_id text NOT NULL,
    call text NOT NULL,
    status smallint NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,                    -- why, as it was answered
    ms int NOT NULL,
    address text NOT NULL,
    body text NOT NULL
);
CREATE INDEX api_refused_key ON api_refused (key_id, proven, id);
CREATE INDEX api_refused_account ON api_refused (account_id, id);
