-- Route tables that wait for a second person: what is put in force is what was submitted, over the version it was made on.
CREATE TABLE route_submission (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    base int NOT NULL,                       -- the version in force when it was submitted; 0: none
    document jsonb NOT NULL,
    note text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'approved', 'rejected', 'withdrawn')),
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    answer text NOT NULL DEFAULT '',
    version int                              -- what it has become
);
CREATE UNIQUE INDEX route_submission_waiting ON route_submission ((true)) WHERE state = 'waiting';

-- Values of settings that one person has asked for and a second one has to ask for as well.
CREATE TABLE setting_wish (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
