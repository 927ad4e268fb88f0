-- Why a call was refused, in both languages; empty of those from before.
ALTER TABLE api_refused ADD COLUMN detail_en text NOT NULL DEFAULT '';
