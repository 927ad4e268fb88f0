-- A node that somebody has said will not come back: nobody is told that it is missing, and its alarms are over. One that
-- comes back all the same is as it was.
ALTER TABLE node ADD COLUMN removed_at timestamptz, ADD COLUMN removed_by text NOT NULL DEFAULT '';
