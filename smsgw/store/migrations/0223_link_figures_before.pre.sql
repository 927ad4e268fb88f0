-- outside a transaction
-- What has come of short links before there were figures of it (0205): all clicks are read, beside those that come in.
-- Nobody judges meanwhile (an advisory lock), so that none counts twice.
SELECT pg_advisory_lock(1818455404);
INSERT INTO link_hour AS h (link_id, hour, hits, humans)
    SELECT c.link_id, date_trunc('hour', c.at), count(*), count(*) FILTER (WHERE c.verdict = 'human')
    FROM link_click c JOIN short_link l ON l.id = c.link_id
    WHERE c.rules > 0 AND c.verdict <> 'orphan' GROUP BY 1, 2
ON CONFLICT (link_id, hour) DO UPDATE SET hits = excluded.hits, humans = excluded.humans;
UPDATE link_visitor SET told = true WHERE humans > 0 AND NOT told;
-- Whoever enters visits changes the same rows, and waits for a moment.
SELECT pg_advisory_lock(1818455403);
UPDATE short_link l SET hits = s.hits, humans = s.humans, recount = true FROM (
    SELECT link_id, sum(hits) AS hits, sum(humans) AS humans FROM link_visitor GROUP BY link_id
) s WHERE s.link_id = l.id;
SELECT pg_advisory_unlock(1818455403);
SELECT pg_advisory_unlock(1818455404);
