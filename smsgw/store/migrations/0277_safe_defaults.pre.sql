-- From here on only approved signatures, filed links and consented numbers are the default. An installation that has
-- accounts goes on as before: what it has not set is switched off in so many words, and can be seen and changed.
INSERT INTO policy (account_id, type, name, value)
SELECT 0, '', name, 'off' FROM unnest(ARRAY['sign_policy', 'filed_links', 'consent']) AS name
WHERE EXISTS (SELECT FROM account)
ON CONFLICT DO NOTHING;
