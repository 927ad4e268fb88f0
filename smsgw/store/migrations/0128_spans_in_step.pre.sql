-- Where a scenario's only span differs from its spans, it was left behind by a change of these: from now on both are
-- written, and what differs was written by a node of the version before.
UPDATE scenario SET window_from = '', window_to = ''
WHERE window_from <> '' AND windows <> window_from || '-' || window_to;
