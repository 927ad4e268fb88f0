-- The alarm that a carrier keeps its connections and answers no submit.
INSERT INTO alarm_rule (kind) VALUES ('channel_silent') ON CONFLICT DO NOTHING;
