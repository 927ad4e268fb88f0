-- Submits and their answers, octet by octet, of a channel for as long as somebody has asked for (docs/adr/079).

CREATE TABLE submit_recording (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id int NOT NULL REFERENCES channel,
    begun_at timestamptz NOT NULL DEFAULT now(),
    begun_by text NOT NULL,
    reason text NOT NULL,
    until timestamptz NOT NULL CHECK (until > begun_at AND until <= begun_at + interval '7 days'),
    ended_at timestamptz,                    -- before its time
    ended_by text NOT NULL DEFAULT '',
    kept bigint NOT NULL DEFAULT 0,          -- PDUs
    left_out bigint NOT NULL DEFAULT 0,      -- submits of which nothing was kept, as more came than fits
    octets bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX submit_recording_open ON submit_recording (channel_id) WHERE ended_at IS NULL;
CREATE INDEX submit_recording_channel ON submit_recording (channel_id, id);
-- Nodes read it with the channels; its figures move nothing.
SELECT config_watch('submit_recording', 'channels', '{kept,left_out,octets}');

-- What was written and answered. Ids decide the day, by the clock of this server, and days go after a few.
CREATE TABLE submit_pdu (
    id bigint NOT NULL DEFAULT
        ((extract(epoch FROM now() - timestamptz '2024-01-01 00:00:00+00') * 1000)::bigint << 22),
    message_id bigint NOT NULL,
    part smallint NOT NULL,
    attempt smallint NOT NULL,
    ours boolean NOT NULL,                   -- the submit; false: the carrier's answer
    channel_id int NOT NULL,
    at timestamptz NOT NULL,
    protocol text NOT NULL,
    pdu bytea NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX submit_pdu_message ON submit_pdu (message_id);
CREATE TABLE submit_pdu_99991231 PARTITION OF submit_pdu DEFAULT;

-- As before; days of recorded submits may go after one.
CREATE OR REPLACE FUNCTION partition_drop(base text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '2s' AS $$
DECLARE
    gone regclass := to_regclass(quote_ident(base || '_' || to_char(day, 'YYYYMMDD')));
    days int := CASE WHEN base IN ('mo', 'customer_event', 'webhook_attempt', 'submit_pdu') THEN 1 ELSE 14 END;
BEGIN
    IF day >= (now() AT TIME ZONE 'Asia/Shanghai')::date - days THEN
        RAISE EXCEPTION 'a day that is to be kept' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF gone IS NULL OR NOT EXISTS (
        SELECT 1 FROM pg_inherits WHERE inhparent = to_regclass(quote_ident(base)) AND inhrelid = gone
    ) THEN
        RAISE EXCEPTION 'no day partition' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('DROP TABLE %s', gone);
END $$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION partition_drop(text, date) SET search_path = %I, pg_temp', current_schema());
END $$;
