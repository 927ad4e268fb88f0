-- The city of an address, where the table of addresses has it; of clicks judged before, when they are judged again.
ALTER TABLE link_click ADD COLUMN city text NOT NULL DEFAULT '';
