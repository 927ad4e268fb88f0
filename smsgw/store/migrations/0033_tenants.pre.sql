-- Networks that are not public, to which events of the account may be pushed: granted by operators, within [webhooks]
-- networks. Accounts that push already keep what they had; grants are for narrowing it.
ALTER TABLE account ADD COLUMN webhook_networks inet[] NOT NULL DEFAULT '{}';
UPDATE account SET webhook_networks = '{0.0.0.0/0,::/0}' WHERE id IN (SELECT account_id FROM webhook);

-- Webhooks have a scope of their own; "report" reads alone. Keys that have changed webhooks so far go on doing so.
UPDATE api_key SET scopes = scopes || '{webhook}'::text[]
WHERE 'report' = ANY(scopes) AND NOT 'webhook' = ANY(scopes)
  AND key_id IN (SELECT actor FROM audit WHERE action LIKE 'webhook.%' OR action = 'events.set');
