-- Accounts whose people rehearse (演练): everything is as always, and all that they send goes to the simulated carrier of test
-- keys. The account's own CHECKs and those of messages keep both worlds apart.
ALTER TABLE account ADD COLUMN training boolean NOT NULL DEFAULT false;
SELECT config_watch('account', 'accounts', '{balance}');
