-- Which code of which short link a message carries (docs/adr/088). A message without one has no row here.
CREATE TABLE message_link (
    id bigint NOT NULL,                      -- of the message
    link_id bigint NOT NULL,
    n int NOT NULL,                          -- which of its codes, from 0
    clicked boolean,                         -- whether a person has; NULL: everybody has this code
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX message_link_code ON message_link (link_id, n);
CREATE INDEX message_link_clicked ON message_link (id) WHERE clicked;
CREATE TABLE message_link_99991231 PARTITION OF message_link DEFAULT;

ALTER TABLE short_link
    ADD used int NOT NULL DEFAULT 0,         -- codes of a personal link that somebody has been given
    ADD filed int,                           -- from which on they are written into files; NULL: none was yet
    ADD like_id bigint;                      -- the link that had too few codes left, so that this one was made
CREATE INDEX short_link_like ON short_link (like_id) WHERE like_id IS NOT NULL;
CREATE INDEX short_link_same ON short_link (account_id, md5(target)) WHERE origin = 'api';
ALTER TABLE task ADD link_id bigint;
ALTER TABLE task_run ADD link_id bigint, ADD link_first int;    -- its rows have the codes from there on
