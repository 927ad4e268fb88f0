-- What people like: how a list is shown to them, and filters that they keep under a name.
CREATE TABLE staff_preference (
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    value jsonb NOT NULL CHECK (length(value::text) <= 4096),
    PRIMARY KEY (staff_id, name)
);
CREATE TABLE staff_view (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    page text NOT NULL CHECK (length(page) BETWEEN 1 AND 64),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 40),
    query text NOT NULL CHECK (length(query) <= 2000),
    UNIQUE (staff_id, page, name)
);
