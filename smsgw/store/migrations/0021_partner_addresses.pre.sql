-- Addresses that logins have come from: they are not shut out by others who guess, after a restart or on another node.
CREATE TABLE partner_address (
    partner_id int NOT NULL REFERENCES partner ON DELETE CASCADE,
    network text NOT NULL,               -- an address, of IPv6 the network of 64 bits
    noted_at timestamptz NOT NULL,       -- by the database's clock; a login after a day notes it anew
    PRIMARY KEY (partner_id, network)
);
CREATE INDEX partner_address_noted ON partner_address (noted_at);
