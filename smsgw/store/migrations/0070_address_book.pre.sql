-- Contacts and groups of an account have an owner and are for that person, for a department and all below it, or for
-- everybody who sees the account. What came by the interface is the account's.
ALTER TABLE contact
    ADD COLUMN owner_id bigint REFERENCES staff ON DELETE SET NULL,
    ADD COLUMN shared text NOT NULL DEFAULT 'account' CHECK (shared IN ('own', 'department', 'account')),
    ADD COLUMN department_id bigint REFERENCES department ON DELETE SET NULL;
ALTER TABLE audience
    ADD COLUMN owner_id bigint REFERENCES staff ON DELETE SET NULL,
    ADD COLUMN shared text NOT NULL DEFAULT 'account' CHECK (shared IN ('own', 'department', 'account')),
    ADD COLUMN department_id bigint REFERENCES department ON DELETE SET NULL;
CREATE INDEX contact_number ON contact (number);
CREATE INDEX contact_name ON contact (name, id);
CREATE INDEX contact_owner ON contact (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX contact_department ON contact (department_id) WHERE department_id IS NOT NULL;

-- A row of a table may change what is there.
ALTER TABLE sheet_result DROP CONSTRAINT sheet_result_outcome_check;
ALTER TABLE sheet_result ADD CONSTRAINT sheet_result_outcome_check
    CHECK (outcome IN ('created', 'updated', 'skipped', 'wrong'));
