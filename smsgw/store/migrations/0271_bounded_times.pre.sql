-- Times and days that people and programs give lie within the bounds of core/moments.py, and the day after them. Old rows
-- are brought in by 0272.
ALTER TABLE account
    ADD CONSTRAINT account_starts_on_bounds CHECK (starts_on BETWEEN '2000-01-01' AND '2100-01-01') NOT VALID,
    ADD CONSTRAINT account_ends_on_bounds CHECK (ends_on BETWEEN '2000-01-01' AND '2100-01-01') NOT VALID;
ALTER TABLE api_key
    ADD CONSTRAINT api_key_expires_at_bounds CHECK (expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
ALTER TABLE block_list
    ADD CONSTRAINT block_list_since_bounds CHECK (since BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID,
    ADD CONSTRAINT block_list_expires_at_bounds CHECK (expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
ALTER TABLE consent
    ADD CONSTRAINT consent_given_at_bounds CHECK (given_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
ALTER TABLE fault
    ADD CONSTRAINT fault_began_at_bounds CHECK (began_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
ALTER TABLE notice
    ADD CONSTRAINT notice_until_bounds CHECK (until BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
ALTER TABLE registration
    ADD CONSTRAINT registration_answered_on_bounds CHECK (answered_on BETWEEN '2000-01-01' AND '2100-01-01') NOT VALID,
    ADD CONSTRAINT registration_expires_at_bounds CHECK (expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
ALTER TABLE short_link
    ADD CONSTRAINT short_link_valid_from_bounds CHECK (valid_from BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID,
    ADD CONSTRAINT short_link_valid_until_bounds CHECK (valid_until BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
ALTER TABLE sign
    ADD CONSTRAINT sign_expires_at_bounds CHECK (expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
ALTER TABLE task
    ADD CONSTRAINT task_send_at_bounds CHECK (send_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID,
    ADD CONSTRAINT task_expire_at_bounds CHECK (expire_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08') NOT VALID;
