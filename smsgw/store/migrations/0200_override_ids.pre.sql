-- outside a transaction
-- Ids of the entries that were there before they had any, a stretch at a time: what is learned meanwhile waits for one at most.
UPDATE number_override SET id = DEFAULT WHERE id IS NULL AND prefix < '135';
UPDATE number_override SET id = DEFAULT WHERE id IS NULL AND prefix < '138';
UPDATE number_override SET id = DEFAULT WHERE id IS NULL AND prefix < '14';
UPDATE number_override SET id = DEFAULT WHERE id IS NULL AND prefix < '155';
UPDATE number_override SET id = DEFAULT WHERE id IS NULL AND prefix < '16';
UPDATE number_override SET id = DEFAULT WHERE id IS NULL AND prefix < '18';
UPDATE number_override SET id = DEFAULT WHERE id IS NULL AND prefix < '185';
UPDATE number_override SET id = DEFAULT WHERE id IS NULL AND prefix < '19';
UPDATE number_override SET id = DEFAULT WHERE id IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS number_override_id;
CREATE UNIQUE INDEX CONCURRENTLY number_override_id ON number_override (id);
