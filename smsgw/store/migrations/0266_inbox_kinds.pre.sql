-- outside a transaction
ALTER TABLE inbox VALIDATE CONSTRAINT inbox_kind_check;
