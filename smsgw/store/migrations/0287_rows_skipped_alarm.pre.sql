-- An alarm for rows that a node cannot read and passes over (store/engine/rows.py).
INSERT INTO alarm_rule (kind) VALUES ('rows_skipped') ON CONFLICT DO NOTHING;
