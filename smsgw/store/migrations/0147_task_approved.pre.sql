-- What a task that comes round said before it was edited, while somebody is asked about the edit: put back when the answer
-- is no. NULL: nothing was approved before, or nobody is asked.
ALTER TABLE task ADD COLUMN approved jsonb;
