-- Adds the writes that were refused for a namespace's limit (`refused`, beside its
-- `namespaces`) to the current hour.
INSERT INTO namespaces_usage AS usage (namespace, hour, events, refused)
SELECT namespace, date_trunc('hour', now(), 'UTC'), 0, refused
FROM unnest(%(namespaces)s::text[], %(refused)s::bigint[]) AS new (namespace, refused)
ORDER BY namespace
ON CONFLICT (namespace, hour) DO UPDATE SET refused = usage.refused + excluded.refused
