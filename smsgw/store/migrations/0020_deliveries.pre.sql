-- Deliveries are listed by account, newest first: beside what waits (customer_event_waiting), what is over.
CREATE INDEX customer_event_done ON customer_event (account_id, kind, id) WHERE acknowledged_at IS NOT NULL;
