-- CMPP logins that have let somebody in: each proves its password with a time of the partner's clock, and whoever has
-- seen one must not come in with it again, on no node and not after a restart.
CREATE TABLE partner_connect (
    partner_id int NOT NULL REFERENCES partner ON DELETE CASCADE,
    stamp bigint NOT NULL,               -- Timestamp of CMPP_CONNECT, MMDDHHMMSS
    noted_at timestamptz NOT NULL,       -- by the database's clock
    PRIMARY KEY (partner_id, stamp)
);
CREATE INDEX partner_connect_noted ON partner_connect (noted_at);

-- A partner whose clock stands still or was never set.
ALTER TABLE partner ADD COLUMN any_clock boolean NOT NULL DEFAULT false;
