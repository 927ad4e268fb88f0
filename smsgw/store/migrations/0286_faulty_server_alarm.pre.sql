-- An alarm for a database server whose release has a known fault (store/engine/server_versions.py).
INSERT INTO alarm_rule (kind) VALUES ('database_faulty') ON CONFLICT DO NOTHING;
