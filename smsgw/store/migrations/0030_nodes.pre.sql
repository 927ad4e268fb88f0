-- Who makes ids under a node number: the data directory with this instance id. Whether it lives says the lease node/N.
CREATE TABLE node (
    number int PRIMARY KEY CHECK (number BETWEEN 1 AND 1023),
    instance text NOT NULL,
    place text NOT NULL,                 -- machine and data directory, for people
    since timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    last_id bigint NOT NULL DEFAULT 0    -- no id of this number is known to be above
);

-- Where rows go whose day has no partition: nothing is refused for want of one. An alarm says so; the keeper moves them.
CREATE TABLE message_default PARTITION OF message DEFAULT;
CREATE TABLE part_default PARTITION OF part DEFAULT WITH (fillfactor = 60);
CREATE TABLE attempt_default PARTITION OF attempt DEFAULT;
CREATE TABLE event_default PARTITION OF event DEFAULT;
CREATE TABLE mo_default PARTITION OF mo DEFAULT;
CREATE TABLE customer_event_default PARTITION OF customer_event DEFAULT;
CREATE TABLE webhook_attempt_default PARTITION OF webhook_attempt DEFAULT;
CREATE TABLE partner_part_default PARTITION OF partner_part DEFAULT;
