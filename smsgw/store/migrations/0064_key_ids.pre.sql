-- API keys have ids, by which pages name them: what a caller shows stays out of addresses.
ALTER TABLE api_key ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX api_key_id ON api_key (id);
