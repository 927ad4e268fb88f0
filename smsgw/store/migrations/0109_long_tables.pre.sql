-- outside a transaction
-- Indexes of tables that are long and written meanwhile. What was given back, rebates as well:
DROP INDEX CONCURRENTLY IF EXISTS ledger_back;
CREATE INDEX CONCURRENTLY ledger_back ON ledger (at, id) WHERE kind IN ('refund', 'rebate');
DROP INDEX CONCURRENTLY IF EXISTS ledger_refund;
ALTER TABLE ledger VALIDATE CONSTRAINT ledger_kind_check;
-- What was done with one message, and who has looked at it:
DROP INDEX CONCURRENTLY IF EXISTS audit_message;
CREATE INDEX CONCURRENTLY audit_message ON audit (object, id) WHERE object LIKE 'message/%';
