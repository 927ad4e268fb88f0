-- Message fallback (消息回落, docs/adr/067): what is sent instead of a message that has definitely failed, hop by hop.
ALTER TABLE task ADD COLUMN fallback jsonb;
ALTER TABLE scenario ADD COLUMN fallback jsonb;

-- Messages of one call that have a chain behind them: looked at until each has come to its end, or the time is over.
CREATE TABLE fallback_watch (
    base_id bigint PRIMARY KEY,                  -- the first of …
    ids bigint[] NOT NULL,                       -- … the messages, all within one block of ids
    account_id bigint NOT NULL,
    chain jsonb NOT NULL,                        -- as it was when they were accepted
    hop smallint NOT NULL CHECK (hop BETWEEN 0 AND 3),   -- hops that have led to these messages; 0: the first ones
    first_id bigint,                             -- of a hop: the message that its chain began with
    task_id bigint,
    run int,
    reviewed boolean NOT NULL,                   -- a reviewer has passed the chain with the task
    vals jsonb,                                  -- message -> variable -> value, where a hop has variables
    open bigint[] NOT NULL,                      -- those of them that may still be followed
    until timestamptz NOT NULL,                  -- no hop is taken after
    problem text NOT NULL DEFAULT '',            -- code of why a hop that is due has not been taken yet
    look_at timestamptz                          -- NULL: nothing more will follow
);
CREATE INDEX fallback_watch_due ON fallback_watch (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX fallback_watch_task ON fallback_watch (task_id, run) WHERE look_at IS NOT NULL AND task_id IS NOT NULL;

-- What has followed a failed message, once: by a person's hand, or (hop > 0) by its chain.
ALTER TABLE message_resend ADD COLUMN hop smallint NOT NULL DEFAULT 0;
ALTER TABLE message_resend ADD COLUMN first_id bigint;
ALTER TABLE message_resend ADD COLUMN task_id bigint;
ALTER TABLE message_resend ADD COLUMN run int;
CREATE INDEX message_resend_again ON message_resend (again_id);
CREATE INDEX message_resend_task ON message_resend (task_id, run) WHERE task_id IS NOT NULL;
