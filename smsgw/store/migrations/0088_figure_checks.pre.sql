-- What the last comparison of a day's figures with its records has found, and of a month's with its days; and the day's
-- account: what was accepted is what was submitted, was refused for a reason, or is held.
CREATE TABLE figure_check (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    span text NOT NULL CHECK (span IN ('day', 'month')),
    day date NOT NULL,                   -- of a month its first
    checked_at timestamptz NOT NULL,
    compared int NOT NULL,               -- figures; 0: reports still come, the account alone
    different int NOT NULL,
    differences jsonb NOT NULL,          -- the first of them
    accepted bigint NOT NULL,            -- by the statistics
    submitted bigint NOT NULL,           -- by the records, as the two that follow
    refused bigint NOT NULL,
    held bigint NOT NULL,
    UNIQUE (span, day)
);
CREATE INDEX figure_check_wrong ON figure_check (day) WHERE different > 0 OR accepted <> submitted + refused + held;
