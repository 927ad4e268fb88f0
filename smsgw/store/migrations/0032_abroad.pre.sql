-- What accounts send outside mainland China: how much by the minute, and where to (core/abroad.py).
CREATE TABLE abroad_minute (
    account_id bigint NOT NULL REFERENCES account,
    minute timestamptz NOT NULL,
    messages int NOT NULL,
    refused int NOT NULL,
    PRIMARY KEY (account_id, minute)
) WITH (fillfactor = 70);

CREATE TABLE abroad_country (
    account_id bigint NOT NULL REFERENCES account,
    country text NOT NULL,                   -- core.numbers.country
    first_at timestamptz NOT NULL,           -- since the last pause of 30 days
    last_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, country)
) WITH (fillfactor = 70);
