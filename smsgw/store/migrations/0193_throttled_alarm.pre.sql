INSERT INTO alarm_rule (kind) VALUES ('channel_throttled') ON CONFLICT DO NOTHING;
