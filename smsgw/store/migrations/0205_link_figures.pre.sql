-- What has come of short links, by the hour and altogether; of clicks that are there already, 0223 counts it.
ALTER TABLE short_link
    ADD COLUMN hits bigint NOT NULL DEFAULT 0,
    ADD COLUMN humans bigint NOT NULL DEFAULT 0,
    ADD COLUMN visitors bigint NOT NULL DEFAULT 0,   -- counted anew, a little after clicks were judged
    ADD COLUMN recount boolean NOT NULL DEFAULT false,
    ADD COLUMN counted_at timestamptz;
CREATE INDEX short_link_recount ON short_link (counted_at NULLS FIRST, id) WHERE recount;
CREATE INDEX short_link_made ON short_link (made_at);
CREATE INDEX short_link_ends ON short_link (valid_until) WHERE valid_until IS NOT NULL;

CREATE TABLE link_hour (
    link_id bigint NOT NULL REFERENCES short_link,
    hour timestamptz NOT NULL,               -- its beginning
    hits bigint NOT NULL,
    humans bigint NOT NULL,
    PRIMARY KEY (link_id, hour)
) WITH (fillfactor = 80);
CREATE INDEX link_hour_hour ON link_hour (hour);

-- Where an address was when its click was judged: the address itself does not stay for ever.
ALTER TABLE link_click ADD COLUMN province text NOT NULL DEFAULT '';

-- Whether the first click of a person was told to a customer who has asked for it.
ALTER TABLE link_visitor ADD COLUMN told boolean NOT NULL DEFAULT false;

-- Taking clicks and codes away.
UPDATE role SET permissions = permissions || '{link.export}'
    WHERE builtin AND code IN ('admin', 'dept') AND NOT 'link.export' = ANY (permissions);
