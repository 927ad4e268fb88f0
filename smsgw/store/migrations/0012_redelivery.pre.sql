-- What was put down for another way than the account's own.
CREATE INDEX customer_event_way ON customer_event (account_id, kind, id)
    WHERE way IS NOT NULL AND acknowledged_at IS NULL;

ALTER TABLE event_lost ADD COLUMN counted_at timestamptz NOT NULL DEFAULT now();
