-- Groups of contacts lie in others of their account. One whose group is forgotten lies at the top.
ALTER TABLE audience ADD COLUMN parent_id bigint REFERENCES audience ON DELETE SET NULL CHECK (parent_id <> id);
CREATE INDEX audience_parent ON audience (parent_id) WHERE parent_id IS NOT NULL;
