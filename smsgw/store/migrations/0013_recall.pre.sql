-- How far a job has come; written where a restart must not begin anew.
CREATE TABLE job_position (
    job text PRIMARY KEY,
    position bigint NOT NULL
);
-- Version of the block list up to which waiting messages have been recalled.
INSERT INTO job_position SELECT 'recall', COALESCE(max(version), 0) FROM block_list;
