-- Tasks to an audience, of a template, and with an address of their own for reports.
ALTER TABLE task ADD COLUMN audience_id bigint;
ALTER TABLE task ADD COLUMN callback_url text NOT NULL DEFAULT '';
CREATE INDEX task_importing ON task (id) WHERE state = 'importing';
