-- Messages by day of acceptance and by what people ask for; filled from message and customer_event by the roll-up
-- (store/statistics.py), at most a minute behind. status 'accepted' counts every message once, the others its end.
CREATE TABLE stat_day (
    day date NOT NULL,
    account_id bigint NOT NULL,
    type text NOT NULL,
    sign text NOT NULL,
    channel_id int NOT NULL,             -- of the last attempt; 0: accepted rows, and what was never claimed
    carrier text NOT NULL,
    province text NOT NULL,
    origin text NOT NULL,
    status text NOT NULL,
    messages bigint NOT NULL,
    parts bigint NOT NULL,
    units bigint NOT NULL,               -- billable parts, before refunds
    PRIMARY KEY (day, account_id, type, sign, channel_id, carrier, province, origin, status)
);

-- How far the roll-up has come; one row.
CREATE TABLE stat_cursor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    message_id bigint NOT NULL,
    event_id bigint NOT NULL,
    recounted date NOT NULL              -- days before this one have had their last recount
);
INSERT INTO stat_cursor VALUES (true, 0, 0, '2024-01-01');
