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
-- Named like a day that never comes: earlier programs on this schema read days from the names of partitions.
CREATE TABLE message_99991231 PARTITION OF message DEFAULT;
CREATE TABLE part_99991231 PARTITION OF part DEFAULT WITH (fillfactor = 60);
CREATE TABLE attempt_99991231 PARTITION OF attempt DEFAULT;
CREATE TABLE event_99991231 PARTITION OF event DEFAULT;
CREATE TABLE mo_99991231 PARTITION OF mo DEFAULT;
CREATE TABLE customer_event_99991231 PARTITION OF customer_event DEFAULT;
CREATE TABLE webhook_attempt_99991231 PARTITION OF webhook_attempt DEFAULT;
CREATE TABLE partner_part_99991231 PARTITION OF partner_part DEFAULT;
