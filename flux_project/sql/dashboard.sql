-- What all namespaces did in the last 24 hours, found by the hour, so that the past
-- beyond costs nothing: which did most and which were refused most, five of each; with
-- how many there are, and which are suspended. Of purchases: how many are paid for more
-- than a minute and have no namespace, since when (seconds since 1970) and why the
-- oldest has none; how many others cannot go on by themselves; how many calls of a
-- provider could not be handled; and which jobs fail, or failed within three days.
WITH used AS MATERIALIZED (
    SELECT namespace AS name, sum(events)::bigint AS events,
           sum(refused)::bigint AS refused
    FROM namespaces_usage
    WHERE hour > date_trunc('hour', now()) - interval '24 hours'
    GROUP BY namespace
), stuck AS MATERIALIZED (
    SELECT paid_at, trouble FROM namespaces_purchase
    WHERE state = 'paid' AND paid_at < now() - interval '1 minute'
        AND disputed_at IS NULL
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
UNION ALL
SELECT 'stuck', '', count(*) FROM stuck
UNION ALL
(SELECT 'stuck_since', trouble, extract(epoch FROM paid_at)::bigint FROM stuck
 ORDER BY paid_at LIMIT 1)
UNION ALL
SELECT 'troubled', '', count(*) FROM namespaces_purchase
WHERE trouble <> '' AND state <> 'paid'
UNION ALL
(SELECT 'failing', task_name, count(*) FROM procrastinate_jobs
 WHERE status = 'failed' OR (status = 'todo' AND attempts > 3)
 GROUP BY task_name ORDER BY task_name LIMIT 5)
UNION ALL
SELECT 'unhandled', '', count(*) FROM namespaces_providerevent
WHERE handled_at IS NULL AND received_at < now() - interval '5 minutes'
