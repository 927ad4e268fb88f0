-- Records are found among millions: those that did not arrive, why, and what somebody or some signature has sent. Parts get
-- into these indexes at their end alone; messages are never changed.
CREATE INDEX part_ended ON part (id) WHERE state > 40;
CREATE INDEX part_class ON part (class, id) WHERE class <> '';
CREATE INDEX message_submitter ON message (submitter, id);
CREATE INDEX message_sign ON message (sign, id);

-- Whose alarm it is: who sees some accounts alone sees the alarms about them. NULL: about the platform.
ALTER TABLE alarm ADD COLUMN account_id bigint;
UPDATE alarm SET account_id = (
    SELECT id FROM account WHERE name = split_part(object, '/', 2) AND split_part(object, '/', 1) IN ('account', 'webhook'));
CREATE INDEX alarm_account ON alarm (account_id) WHERE account_id IS NOT NULL;

-- The administrator of a department sees it and all below it, besides the accounts that were assigned.
UPDATE role SET scope = 'below' WHERE builtin AND code = 'dept';

-- A recovery code that an administrator has made is good until then; NULL: one of the person's own.
ALTER TABLE staff_recovery_code ADD COLUMN expires_at timestamptz;
