-- A task that has not begun can be edited: which version of it there is, so that nobody overwrites or approves what was
-- not seen (docs/adr/059).
ALTER TABLE task ADD COLUMN version int NOT NULL DEFAULT 1;

-- Before everything else (特发): approved by somebody else first. Sent by preference through a group of channels that the
-- routing allows; at most so often to a number, counted over all tasks with the same tag.
ALTER TABLE task ADD COLUMN emergency boolean NOT NULL DEFAULT false;
ALTER TABLE task ADD COLUMN prefer text NOT NULL DEFAULT '' CHECK (length(prefer) <= 64);
ALTER TABLE task ADD COLUMN frequency jsonb;

-- What is asked about a task is asked anew for each version of it, under an id of its own: who passes the former one
-- passes nothing.
ALTER TABLE review ADD COLUMN task_id bigint;
UPDATE review SET task_id = batch_id WHERE task;
ALTER TABLE review ADD CHECK (task = (task_id IS NOT NULL));
CREATE INDEX review_task ON review (task_id) WHERE task_id IS NOT NULL;
ALTER TABLE review DROP CONSTRAINT review_state_check;
ALTER TABLE review ADD CONSTRAINT review_state_check
    CHECK (state IN ('pending', 'passed', 'rejected', 'expired', 'withdrawn'));
