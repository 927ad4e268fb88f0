-- A task that waits for a reviewer stands in the same list as calls: batch_id is its id.
ALTER TABLE review ADD COLUMN task boolean NOT NULL DEFAULT false;
ALTER TABLE task ADD COLUMN review_reasons text[] NOT NULL DEFAULT '{}';
INSERT INTO review (batch_id, account_id, type, origin, submitter, reasons, numbers, parts, content, due_at, validity,
                    expires_at, task)
SELECT id, account_id, type, origin, submitter, '{提交时要求审核}', valid, valid, content, next_at, interval '0', 'infinity',
       true
FROM task WHERE state = 'review';
