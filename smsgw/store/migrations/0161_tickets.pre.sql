-- Tickets: what somebody of the purchaser has reported, with the messages that it is about, until it is answered. Texts have
-- no whole phone number: they are masked before they are stored.
CREATE TABLE ticket (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    title text NOT NULL CHECK (length(title) BETWEEN 2 AND 100),
    message_ids bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(message_ids) <= 20),
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    respond_by timestamptz NOT NULL,     -- as the setting was when it was opened, or opened again
    responded_at timestamptz,
    responded_by text NOT NULL DEFAULT '',
    assigned_to text NOT NULL DEFAULT '',   -- a login
    closed_at timestamptz,
    closed_by text NOT NULL DEFAULT ''
);
CREATE INDEX ticket_opened ON ticket (opened_at, id);
CREATE INDEX ticket_account ON ticket (account_id, opened_at);
CREATE INDEX ticket_open ON ticket (id) WHERE closed_at IS NULL;
CREATE TABLE ticket_step (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    ticket_id bigint NOT NULL REFERENCES ticket,
    at timestamptz NOT NULL,
    by text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('opened', 'said', 'taken', 'assigned', 'closed', 'reopened')),
    said text NOT NULL DEFAULT ''
);
CREATE INDEX ticket_step_ticket ON ticket_step (ticket_id, id);

INSERT INTO alarm_rule (kind) VALUES ('ticket_response_near'), ('ticket_response_over');
UPDATE role SET permissions = permissions || '{ticket.view,ticket.edit}'
    WHERE builtin AND code IN ('admin', 'dept', 'operator', 'ops') AND NOT 'ticket.view' = ANY (permissions);
UPDATE role SET permissions = permissions || '{ticket.handle}'
    WHERE builtin AND code IN ('ops', 'admin') AND NOT 'ticket.handle' = ANY (permissions);
