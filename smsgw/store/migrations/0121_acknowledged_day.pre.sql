-- Reports that customers' systems have acknowledged, by the day on which their messages were accepted (ADR 076): counted
-- by day, so that the figures outlive events and records.
CREATE TABLE acknowledged_day (
    day date NOT NULL,
    account_id bigint NOT NULL,
    origin text NOT NULL,                -- api, smpp, cmpp
    messages bigint NOT NULL,            -- whose end the customer's system has acknowledged
    delivered bigint NOT NULL,           -- of them, acknowledged as delivered
    PRIMARY KEY (day, account_id, origin)
);
CREATE INDEX acknowledged_day_account ON acknowledged_day (account_id, day);
