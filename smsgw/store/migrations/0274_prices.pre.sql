-- What a unit costs, and from when on (docs/adr/102). The last row is account.unit_price. Rows are written by the
-- trigger alone; none changes once its account has an entry in the ledger.
CREATE TABLE account_price (
    account_id bigint NOT NULL,
    valid_from timestamptz NOT NULL,     -- '-infinity': since there is the account
    price numeric(8, 4) NOT NULL,
    PRIMARY KEY (account_id, valid_from)
);
-- Of the sums of a day in usage_day, those that are not at the price with which the day ends: debits before a change on
-- that day, and refunds of debits at another price.
CREATE TABLE usage_price (
    account_id bigint NOT NULL,
    day date NOT NULL,
    submitter text NOT NULL,
    type text NOT NULL,
    price numeric(8, 4) NOT NULL,
    units bigint NOT NULL,
    refunded bigint NOT NULL,
    PRIMARY KEY (account_id, day, submitter, type, price)
);
CREATE INDEX usage_price_day ON usage_price (day);

-- An account is locked before anything is booked on it, and by a change of its price: what was booked before has an
-- earlier time than the change, what is booked afterwards a later one. So its sums of the day until now are at the
-- former price.
CREATE FUNCTION account_priced() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    changed_at CONSTANT timestamptz := clock_timestamp();
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO account_price VALUES (NEW.id, '-infinity', NEW.unit_price);
        RETURN NULL;
    END IF;
    UPDATE account_price SET price = NEW.unit_price
    WHERE account_id = NEW.id AND NOT EXISTS (SELECT FROM ledger l WHERE l.account_id = NEW.id);
    IF NOT FOUND THEN
        INSERT INTO account_price VALUES (NEW.id, changed_at, NEW.unit_price);
        INSERT INTO usage_price AS p (account_id, day, submitter, type, price, units, refunded)
        SELECT u.account_id, u.day, u.submitter, u.type, OLD.unit_price,
               u.units - COALESCE(sum(o.units), 0), u.refunded - COALESCE(sum(o.refunded), 0)
        FROM usage_day u LEFT JOIN usage_price o USING (account_id, day, submitter, type)
        WHERE u.account_id = NEW.id AND u.day = (changed_at AT TIME ZONE 'Asia/Shanghai')::date
        GROUP BY u.account_id, u.day, u.submitter, u.type
        HAVING (u.units, u.refunded) <> (COALESCE(sum(o.units), 0), COALESCE(sum(o.refunded), 0))
        ON CONFLICT (account_id, day, submitter, type, price)
        DO UPDATE SET units = p.units + excluded.units, refunded = p.refunded + excluded.refunded;
    END IF;
    RETURN NULL;
END
$$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION account_priced() SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION account_priced() FROM PUBLIC;
END $$;

-- Last, as these keep everybody out for a moment. The time of an entry is that of its statement, which comes after the
-- lock; the time of its transaction does not.
ALTER TABLE ledger
    ALTER COLUMN at SET DEFAULT statement_timestamp(),
    ADD COLUMN price numeric(8, 4);      -- of a refund: that of its debit, where that is not the one in force at "at"
CREATE TRIGGER account_made AFTER INSERT ON account FOR EACH ROW EXECUTE FUNCTION account_priced();
CREATE TRIGGER account_priced AFTER UPDATE OF unit_price ON account FOR EACH ROW
    WHEN (OLD.unit_price <> NEW.unit_price) EXECUTE FUNCTION account_priced();
INSERT INTO account_price SELECT id, '-infinity', unit_price FROM account;
