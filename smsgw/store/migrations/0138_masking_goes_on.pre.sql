-- Where a killed run of masking has come to: an id, of PDUs a block. Days that texts go from later begin anew.
ALTER TABLE masked_day ADD COLUMN last_id bigint NOT NULL DEFAULT 0;

-- Whether a task's values went with its numbers: a rule that lets texts stay may be followed by one that does not.
ALTER TABLE task ADD COLUMN masked_texts boolean NOT NULL DEFAULT false;

-- Values of variables are of people, and are needed as long as something may follow.
UPDATE fallback_watch SET vals = NULL WHERE look_at IS NULL AND vals IS NOT NULL;
