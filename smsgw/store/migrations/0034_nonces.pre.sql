-- Nonces of signatures ('n'), so that a signed request takes effect once at all nodes; swept after an hour.
ALTER TABLE request_key DROP CONSTRAINT request_key_kind_check;
ALTER TABLE request_key ADD CONSTRAINT request_key_kind_check CHECK (kind IN ('k', 'r', 'n')) NOT VALID;
CREATE INDEX request_key_nonces ON request_key (created_at) WHERE kind = 'n';
