-- Beside a backup, which reads every table for as long as it takes, a day can be neither made nor dropped: whoever waits for that
-- lock lets all writers wait behind it. They are asked for again in ten minutes, so they wait for no longer than a writer needs.
ALTER FUNCTION partition_make(text, date) SET lock_timeout = '100ms';
ALTER FUNCTION partition_drop(text, date) SET lock_timeout = '100ms';
