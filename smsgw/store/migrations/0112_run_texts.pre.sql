-- A task that comes round is edited between two runs: each run keeps what it has said. NULL: a run of the version before,
-- or one that was missed.
ALTER TABLE task_run ADD COLUMN content text;
ALTER TABLE task_run ADD COLUMN sign text;
