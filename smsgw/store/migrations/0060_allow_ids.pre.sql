-- Entries of the allow list have ids, by which pages name them.
ALTER TABLE allow_list ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX allow_list_id ON allow_list (id);
