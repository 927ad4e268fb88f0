-- What channels were, are, and are to be set to: each change is a version with who, when and why. Secrets are sealed as in
-- the channel itself and never shown; which version a password was entered with says whether two have the same.
CREATE TABLE channel_version (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    channel_id int NOT NULL REFERENCES channel,
    number int NOT NULL,
    base int NOT NULL,                   -- the version that was in force when it was made; 0: none
    state text NOT NULL CHECK (state IN ('waiting', 'active', 'replaced', 'rejected', 'withdrawn')),
    config jsonb NOT NULL,
    password_sealed bytea NOT NULL,
    password_of int NOT NULL,            -- number of the version that the password was entered with
    peer_sealed bytea,                   -- the profile's peer_password
    peer_of int NOT NULL,
    reason text NOT NULL DEFAULT '',
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT '',
    decided_at timestamptz,
    answer text NOT NULL DEFAULT '',
    UNIQUE (channel_id, number)
);
CREATE UNIQUE INDEX channel_version_waiting ON channel_version (channel_id) WHERE state = 'waiting';
CREATE UNIQUE INDEX channel_version_active ON channel_version (channel_id) WHERE state = 'active';

INSERT INTO channel_version (channel_id, number, base, state, config, password_sealed, password_of, peer_sealed, peer_of,
                             made_by, made_at)
SELECT id, 1, 0, 'active',
       jsonb_build_object('protocol', protocol, 'host', host, 'port', port, 'username', username,
                          'access_code', access_code, 'connections', connections, 'window', send_window, 'rate', rate,
                          'carriers', carriers, 'unknown_policy', unknown_policy, 'profile', profile - 'peer_password'),
       password_sealed, 1, decode(NULLIF(profile->>'peer_password', ''), 'hex'), 1, '', created_at
FROM channel WHERE id > 0 AND removed_at IS NULL;
