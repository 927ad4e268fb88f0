-- What waits to be sent, by account and in the order in which its validity ends. The account's sign is in the condition
-- to keep statements off this index that do not ask by account: on a day without statistics a claim would walk all of it.
CREATE INDEX part_waiting ON part (account_id, expires_at) WHERE state IN (10, 11) AND account_id > 0;
-- What is held, and why it is: NULL waits for a reviewer, 'account' for its account to be started again.
ALTER TABLE part ADD COLUMN held_for text;
CREATE INDEX part_held ON part (account_id, expires_at) WHERE state = 1;
