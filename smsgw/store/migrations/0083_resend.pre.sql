-- What people have sent again because it had failed: once each.
CREATE TABLE message_resend (
    message_id bigint PRIMARY KEY,
    again_id bigint NOT NULL,                    -- the message that it has become
    at timestamptz NOT NULL DEFAULT now()
);
