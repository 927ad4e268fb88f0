-- Partners: logins of accounts for SMPP and CMPP.
CREATE TABLE partner (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account_id bigint NOT NULL REFERENCES account,
    protocol text NOT NULL CHECK (protocol IN ('smpp', 'cmpp')),
    username text NOT NULL CHECK (username ~ '^[!-~]{1,15}$'),
    password_sealed bytea NOT NULL,
    max_binds int NOT NULL DEFAULT 4 CHECK (max_binds BETWEEN 1 AND 1000),
    send_window int NOT NULL DEFAULT 64 CHECK (send_window BETWEEN 1 AND 1000),
    rate int NOT NULL DEFAULT 0 CHECK (rate BETWEEN 0 AND 1000000),
    ip_allow inet[] NOT NULL DEFAULT '{}',
    type text NOT NULL DEFAULT 'notice' CHECK (type IN ('otp', 'notice', 'marketing')),
    code text NOT NULL DEFAULT '' CHECK (code ~ '^[0-9]{0,20}$'),
    any_source boolean NOT NULL DEFAULT false,
    alphabet text NOT NULL DEFAULT 'gsm7' CHECK (alphabet IN ('gsm7', 'ascii', 'latin1', 'ucs2')),
    message_ids text NOT NULL DEFAULT 'decimal' CHECK (message_ids IN ('decimal', 'hex')),
    long_mo text NOT NULL DEFAULT 'udh' CHECK (long_mo IN ('udh', 'payload')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped')),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (protocol, username)
);
CREATE INDEX partner_account ON partner (account_id);

-- Who is bound, on which node. Rows whose node has not confirmed them for a while are over.
CREATE TABLE partner_bind (
    node int NOT NULL,
    number bigint NOT NULL,              -- of the node
    partner_id int NOT NULL,
    account_id bigint NOT NULL,
    mode text NOT NULL,                  -- transmitter, receiver, transceiver
    ip text NOT NULL,
    bound_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    kick boolean NOT NULL DEFAULT false, -- its node shall end it
    PRIMARY KEY (node, number)
);

-- Submits of partners that are not messages of their own: the parts of long messages, each with the id that its
-- sender was given, and destinations of a group that were refused.
CREATE TABLE partner_part (
    id bigint NOT NULL PRIMARY KEY,
    account_id bigint NOT NULL,
    partner_id int NOT NULL,
    key text NOT NULL,                   -- source, destination, kind of reference, reference, total
    total smallint NOT NULL,
    part smallint NOT NULL,
    number text NOT NULL,                -- as the partner wrote it
    octets bytea NOT NULL,               -- without the header
    coding text NOT NULL,
    extend_code text NOT NULL DEFAULT '',
    reply text NOT NULL,                 -- core.partners.ReplyTo
    urgent boolean NOT NULL DEFAULT false,
    send_at timestamptz,
    expire_at timestamptz,
    received_at timestamptz NOT NULL,
    message_id bigint                    -- what it has become part of; its own id: it was refused
) PARTITION BY RANGE (id);
CREATE INDEX partner_part_waiting ON partner_part (received_at) WHERE message_id IS NULL;
CREATE INDEX partner_part_key ON partner_part (account_id, key, received_at);
CREATE INDEX partner_part_message ON partner_part (message_id) WHERE message_id IS NOT NULL;
