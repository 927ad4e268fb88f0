-- Tests of what channels are set to: what was looked at step by step, by whom. One at a time for a person and a channel.
CREATE TABLE channel_check (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    channel_id int NOT NULL REFERENCES channel,
    begun_by text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,                -- none, and long since begun: its node went away
    findings jsonb NOT NULL DEFAULT '[]'
);
CREATE UNIQUE INDEX channel_check_person ON channel_check (begun_by) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX channel_check_open ON channel_check (channel_id) WHERE ended_at IS NULL;
CREATE INDEX channel_check_channel ON channel_check (channel_id, id DESC);
