-- A scenario is sent within several spans of the day, on weekdays, as core.schedule reads them. The two columns of the
-- only span stay for nodes of the version before; nothing else reads them.
ALTER TABLE scenario ADD COLUMN windows text NOT NULL DEFAULT '' CHECK (length(windows) <= 400);
UPDATE scenario SET windows = window_from || '-' || window_to WHERE window_from <> '';
