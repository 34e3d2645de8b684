-- What all namespaces did in the last 24 hours, found by the hour, so that the past
-- beyond costs nothing: which did most and which were refused most, five of each; with
-- how many there are, and which are suspended.
WITH used AS MATERIALIZED (
    SELECT namespace AS name, sum(events)::bigint AS events,
           sum(refused)::bigint AS refused
    FROM namespaces_usage
    WHERE hour > date_trunc('hour', now()) - interval '24 hours'
    GROUP BY namespace
)
(SELECT 'top', name, events FROM used WHERE events > 0
 ORDER BY events DESC, name LIMIT 5)
UNION ALL
(SELECT 'refused', name, refused FROM used WHERE refused > 0
 ORDER BY refused DESC, name LIMIT 5)
UNION ALL
(SELECT 'suspended', name, 0 FROM namespaces_namespace
 WHERE suspended_at IS NOT NULL AND deleted_at IS NULL ORDER BY suspended_at DESC LIMIT 6)
UNION ALL
SELECT 'namespaces', '', count(*) FROM namespaces_namespace WHERE deleted_at IS NULL
UNION ALL
SELECT 'entities', '', coalesce(sum(entities), 0)::bigint FROM state_count
