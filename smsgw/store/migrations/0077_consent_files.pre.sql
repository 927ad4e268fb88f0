-- Pictures and documents that prove consents: what was entered together has one file. The octets are the file store's,
-- which keeps them as long as a row of the ledger means them.
ALTER TABLE consent ADD COLUMN proof_file bigint;
CREATE INDEX consent_proof_file ON consent (proof_file) WHERE proof_file IS NOT NULL;
