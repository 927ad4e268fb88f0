-- Whether a node serves short links; NULL: its program does not say. And the alarm that no node does.
ALTER TABLE node ADD COLUMN serves_links boolean;
INSERT INTO alarm_rule (kind) VALUES ('links_unserved') ON CONFLICT DO NOTHING;
