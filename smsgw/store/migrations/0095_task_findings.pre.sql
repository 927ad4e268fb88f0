-- What is known of a task's rows before a reviewer sees it: how they were sorted when somebody confirmed them, and those
-- that have to be seen for their own values.
CREATE TABLE task_finding (
    task_id bigint PRIMARY KEY REFERENCES task ON DELETE CASCADE,
    survey jsonb,
    held int NOT NULL DEFAULT 0,
    held_rows int[] NOT NULL DEFAULT '{}'
);
