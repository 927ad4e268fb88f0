-- outside a transaction
-- Rows of before 0271: 0001 and 9999 were given for "always" and "never". A link ends after it begins.
UPDATE account SET starts_on = CASE WHEN starts_on IS NOT NULL THEN LEAST(GREATEST(starts_on, '2000-01-01'), '2100-01-01') END,
    ends_on = CASE WHEN ends_on IS NOT NULL THEN LEAST(GREATEST(ends_on, '2000-01-01'), '2100-01-01') END
WHERE NOT starts_on BETWEEN '2000-01-01' AND '2100-01-01'
    OR NOT ends_on BETWEEN '2000-01-01' AND '2100-01-01';
UPDATE api_key SET expires_at = CASE WHEN expires_at IS NOT NULL THEN LEAST(GREATEST(expires_at, '2000-01-01 00:00+08'), '2100-01-01 00:00+08') END
WHERE NOT expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08';
UPDATE consent SET given_at = CASE WHEN given_at IS NOT NULL THEN LEAST(GREATEST(given_at, '2000-01-01 00:00+08'), '2100-01-01 00:00+08') END
WHERE NOT given_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08';
UPDATE notice SET until = CASE WHEN until IS NOT NULL THEN LEAST(GREATEST(until, '2000-01-01 00:00+08'), '2100-01-01 00:00+08') END
WHERE NOT until BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08';
UPDATE registration SET answered_on = CASE WHEN answered_on IS NOT NULL THEN LEAST(GREATEST(answered_on, '2000-01-01'), '2100-01-01') END,
    expires_at = CASE WHEN expires_at IS NOT NULL THEN LEAST(GREATEST(expires_at, '2000-01-01 00:00+08'), '2100-01-01 00:00+08') END
WHERE NOT answered_on BETWEEN '2000-01-01' AND '2100-01-01'
    OR NOT expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08';
UPDATE short_link SET change = nextval('short_link_change'),
    valid_from = CASE WHEN valid_from IS NOT NULL THEN LEAST(GREATEST(valid_from, '2000-01-01 00:00+08'), '2099-12-31 00:00+08') END,
    valid_until = CASE WHEN valid_until IS NOT NULL THEN LEAST(GREATEST(valid_until, '2000-01-01 00:00+08'), '2100-01-01 00:00+08') END
WHERE NOT valid_from BETWEEN '2000-01-01 00:00+08' AND '2099-12-31 00:00+08'
    OR NOT valid_until BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08';
UPDATE sign SET expires_at = CASE WHEN expires_at IS NOT NULL THEN LEAST(GREATEST(expires_at, '2000-01-01 00:00+08'), '2100-01-01 00:00+08') END
WHERE NOT expires_at BETWEEN '2000-01-01 00:00+08' AND '2100-01-01 00:00+08';
