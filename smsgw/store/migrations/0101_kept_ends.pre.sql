-- What customers were last told of messages whose events retention removes while another report may still come: it
-- takes the place of that end in the figures.
CREATE TABLE stat_end (
    message_id bigint PRIMARY KEY,
    status text NOT NULL
);
-- Up to which day events and records have been removed: days that cannot be counted anew, or compared, any more.
ALTER TABLE stat_cursor
    ADD COLUMN events_gone date NOT NULL DEFAULT '2024-01-01',
    ADD COLUMN records_gone date NOT NULL DEFAULT '2024-01-01';
