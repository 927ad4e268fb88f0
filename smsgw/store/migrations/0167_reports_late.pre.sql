INSERT INTO alarm_rule (kind) VALUES ('report_late') ON CONFLICT DO NOTHING;
