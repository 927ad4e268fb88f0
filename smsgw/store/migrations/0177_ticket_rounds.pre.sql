-- Of the step that opens a ticket again: the promise of the round that it ends, and when it was kept.
ALTER TABLE ticket_step ADD COLUMN since timestamptz, ADD COLUMN respond_by timestamptz, ADD COLUMN responded_at timestamptz;
