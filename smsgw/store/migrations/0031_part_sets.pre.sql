-- Which parts belong together: a partner may use a reference again while the message before is on its way.
ALTER TABLE partner_part ADD COLUMN set_id bigint NOT NULL DEFAULT 0;   -- its first part; 0: all under the key
COMMENT ON COLUMN partner_part.message_id IS 'what it is part of; its own id: refused; 0: refused for now, may come again';
