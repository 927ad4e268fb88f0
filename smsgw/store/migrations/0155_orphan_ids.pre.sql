-- Reports without a message are looked at one by one, and put to their message in batches.
ALTER TABLE receipt_orphan ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX receipt_orphan_id ON receipt_orphan (id);
CREATE INDEX receipt_orphan_channel ON receipt_orphan (channel_id, id);
