-- Addresses of those who opened short links become hashes, as numbers do (docs/adr/083).
ALTER TABLE retention_rule ADD COLUMN clicks_days int NOT NULL DEFAULT 0 CHECK (clicks_days >= 0);
ALTER TABLE masked_day DROP CONSTRAINT masked_day_class_check;
ALTER TABLE masked_day ADD CHECK (class IN ('messages', 'inbound', 'pdus', 'clicks'));
