-- What a reply has come to is part of its record: it was taken as an opt-out.
ALTER TABLE mo ADD COLUMN opted_out boolean NOT NULL DEFAULT false;
UPDATE mo SET opted_out = true
FROM block_list b
WHERE b.source = 'opt_out' AND mo.number = b.number::text AND mo.received_at = b.since;
