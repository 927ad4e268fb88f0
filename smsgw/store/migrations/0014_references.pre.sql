-- What else an unmatched report says about its part: our reference, or that number and time may be asked.
ALTER TABLE receipt_orphan
    ADD COLUMN reference int,
    ADD COLUMN by_number boolean NOT NULL DEFAULT false,
    ADD COLUMN submitted timestamptz;
CREATE INDEX receipt_orphan_number ON receipt_orphan (channel_id, number) WHERE reference IS NOT NULL OR by_number;
