-- Pages name an entry by an id: eleven digits are somebody's number, and stand in no address. A column without a default at
-- first, so that a table of millions is not rewritten while reports wait for it; 0200 gives those that are there theirs. By
-- chance and not from a sequence, which the program that still runs has no right to.
ALTER TABLE number_override ADD COLUMN id bigint;
ALTER TABLE number_override ALTER COLUMN id SET DEFAULT hashtextextended(gen_random_uuid()::text, 0) & 9223372036854775807;
