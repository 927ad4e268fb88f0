-- How a complaint is dealt with: where it came from, until when it has to be answered, each step of it, and the reply.
-- Those that were entered before had no steps: what was done about them stands in their notes.
ALTER TABLE complaint
    ADD COLUMN state text NOT NULL DEFAULT 'closed' CHECK (state IN ('open', 'checking', 'answered', 'closed')),
    ADD COLUMN origin text NOT NULL DEFAULT 'user' CHECK (origin IN ('user', 'carrier', 'authority')),
    ADD COLUMN reference text NOT NULL DEFAULT '',           -- its number where it came from
    ADD COLUMN due_at timestamptz NOT NULL DEFAULT now() + interval '3 days',
    ADD COLUMN reply text NOT NULL DEFAULT '',               -- what was answered last
    ADD COLUMN changed_by text NOT NULL DEFAULT '',          -- who did the last step; empty: there was none
    ADD COLUMN changed_at timestamptz;
UPDATE complaint SET due_at = at + interval '3 days';
ALTER TABLE complaint ALTER COLUMN state SET DEFAULT 'open';
CREATE INDEX complaint_number ON complaint (number, id);
CREATE INDEX complaint_due ON complaint (due_at) WHERE state IN ('open', 'checking');

CREATE TABLE complaint_step (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    complaint_id bigint NOT NULL REFERENCES complaint (id),
    state text NOT NULL,                                     -- where it stands after the step
    said text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX complaint_step_of ON complaint_step (complaint_id, id);
