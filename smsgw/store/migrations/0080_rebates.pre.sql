-- What was given back is listed by time, over all accounts or those that somebody sees.
CREATE INDEX ledger_refund ON ledger (at, id) WHERE kind = 'refund';
