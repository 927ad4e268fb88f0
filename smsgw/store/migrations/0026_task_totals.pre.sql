-- What has become of a run that is over, so that lists of tasks do not sum up all of its chunks.
ALTER TABLE task_run ADD COLUMN totals jsonb;                   -- null: not known, or a report has changed it since
-- Those counted longest ago first, without sorting all of a task's.
DROP INDEX task_chunk_open;
CREATE INDEX task_chunk_open ON task_chunk (task_id, counted_at, run, first) WHERE open;
