-- Rows of a task that no channel could take when they were fed. They keep the ids of their chunk, and are tried again.
ALTER TABLE task_chunk ADD COLUMN aside int[];                  -- their numbers; null: none
ALTER TABLE task_chunk ADD COLUMN aside_at timestamptz;         -- when they are tried (again)
ALTER TABLE task_chunk ADD COLUMN feeds int NOT NULL DEFAULT 1; -- how often it has got messages: counts know by it
CREATE INDEX task_chunk_aside ON task_chunk (task_id, run, aside_at) WHERE aside IS NOT NULL;
