-- Short links (docs/adr/087): a link has a range of serial numbers, of which its codes are computed by a secret permutation;
-- or one code that somebody has chosen. Nothing is stored of a single code until it is clicked.

-- The one row: the key of the permutation, and the serials that are free.
CREATE TABLE short_link_key (
    id int PRIMARY KEY CHECK (id = 1),
    sealed bytea NOT NULL,
    next bigint NOT NULL DEFAULT 0   -- serials from here on are free, and none that time has passed is given out
);

CREATE SEQUENCE short_link_change;

-- A short link: one shared code, or a code for each receiver, which lead to its target while it is in force.
CREATE TABLE short_link (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    kind text NOT NULL CHECK (kind IN ('shared', 'personal')),
    origin text NOT NULL CHECK (origin IN ('page', 'task', 'api', 'activity', 'command')),
    domain text NOT NULL,
    serial bigint UNIQUE,                 -- of its first code
    codes int NOT NULL DEFAULT 1 CHECK (codes BETWEEN 1 AND 1000000),
    chosen text,
    target text NOT NULL CHECK (length(target) <= 2000),
    version int NOT NULL DEFAULT 1,       -- of the target
    passed int NOT NULL DEFAULT 0,        -- the version that was passed last; 0: none
    warn boolean NOT NULL DEFAULT false,  -- a page says where it leads before it is followed
    state text NOT NULL CHECK (state IN ('reviewing', 'active', 'stopped', 'rejected')),
    held boolean NOT NULL DEFAULT false,  -- stopped by somebody who decides on links: nobody else starts it again
    reason text NOT NULL DEFAULT '',
    valid_from timestamptz,
    valid_until timestamptz,
    visits_max int NOT NULL DEFAULT 0 CHECK (visits_max >= 0),
    visits bigint NOT NULL DEFAULT 0,     -- that count towards it
    unkept bigint NOT NULL DEFAULT 0,     -- hits that were counted only: too many of them, or no room for a row
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL,
    decided_at timestamptz,
    decided_by text NOT NULL DEFAULT '',
    change bigint NOT NULL DEFAULT nextval('short_link_change'),
    hits bigint NOT NULL DEFAULT 0,
    humans bigint NOT NULL DEFAULT 0,
    visitors bigint NOT NULL DEFAULT 0,   -- counted anew, a little after clicks were judged
    recount boolean NOT NULL DEFAULT false,
    counted_at timestamptz,
    used int NOT NULL DEFAULT 0,          -- codes of a personal link that somebody has been given
    filed int,                            -- from which on they are written into files; NULL: none was yet
    like_id bigint,                       -- the link that had too few codes left, so that this one was made
    CHECK ((serial IS NULL) <> (chosen IS NULL)),
    CHECK (kind = 'personal' AND chosen IS NULL AND visits_max = 0 OR kind = 'shared' AND codes = 1),
    CHECK (valid_until > valid_from),
    CHECK (state <> 'active' OR passed = version),
    CONSTRAINT short_link_valid_from_bounds CHECK (valid_from BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08'),
    CONSTRAINT short_link_valid_until_bounds CHECK (valid_until BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08')
);
CREATE UNIQUE INDEX short_link_chosen ON short_link (domain, chosen) WHERE chosen IS NOT NULL;
CREATE INDEX short_link_change_of ON short_link (change);
CREATE INDEX short_link_account ON short_link (account_id, id);
CREATE INDEX short_link_recount ON short_link (counted_at NULLS FIRST, id) WHERE recount;
CREATE INDEX short_link_made ON short_link (made_at);
CREATE INDEX short_link_ends ON short_link (valid_until) WHERE valid_until IS NOT NULL;
CREATE INDEX short_link_like ON short_link (like_id) WHERE like_id IS NOT NULL;
CREATE INDEX short_link_same ON short_link (account_id, md5(target)) WHERE origin = 'api';

-- A target that a link has had.
CREATE TABLE short_link_target (
    link_id bigint NOT NULL REFERENCES short_link,
    version int NOT NULL,
    target text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    by text NOT NULL,
    PRIMARY KEY (link_id, version)
);

-- A click as it came; who it was is judged a little later, when its neighbours are there, and may be judged again.
CREATE TABLE link_click (
    id bigint NOT NULL,                 -- made of its moment
    link_id bigint NOT NULL,
    n int NOT NULL,                     -- which of its codes, from 0
    version int NOT NULL,               -- of the target that was shown
    at timestamptz NOT NULL,
    address text NOT NULL,
    method text NOT NULL,
    agent text NOT NULL,
    referer text NOT NULL,
    purpose text NOT NULL,
    language text NOT NULL,
    accept text NOT NULL,
    rules smallint NOT NULL DEFAULT 0,  -- by which it was judged; 0: it is to be
    verdict text NOT NULL DEFAULT '',
    province text NOT NULL DEFAULT '',  -- of the address when the click was judged: the address itself does not stay for ever
    city text NOT NULL DEFAULT '',
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE TABLE link_click_99991231 PARTITION OF link_click DEFAULT;
CREATE INDEX link_click_code ON link_click (link_id, n, id);
CREATE INDEX link_click_link ON link_click (link_id, id);
CREATE INDEX link_click_address ON link_click (address, id);
CREATE INDEX link_click_unjudged ON link_click (id) WHERE rules = 0;

-- What has come of a code that was clicked.
CREATE TABLE link_visitor (
    link_id bigint NOT NULL REFERENCES short_link,
    n int NOT NULL,
    hits bigint NOT NULL,
    humans bigint NOT NULL,
    first_at timestamptz,                 -- of people
    last_at timestamptz,
    told boolean NOT NULL DEFAULT false,  -- the first click of a person was told to a customer who has asked for it
    PRIMARY KEY (link_id, n)
) WITH (fillfactor = 80);

-- What has come of a link in an hour.
CREATE TABLE link_hour (
    link_id bigint NOT NULL REFERENCES short_link,
    hour timestamptz NOT NULL,  -- its beginning
    hits bigint NOT NULL,
    humans bigint NOT NULL,
    PRIMARY KEY (link_id, hour)
) WITH (fillfactor = 80);
CREATE INDEX link_hour_hour ON link_hour (hour);
