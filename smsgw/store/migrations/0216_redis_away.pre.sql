-- The alarm that Redis, where the nodes of a platform tell each other things through it, cannot be reached.
INSERT INTO alarm_rule (kind) VALUES ('redis_away') ON CONFLICT DO NOTHING;
