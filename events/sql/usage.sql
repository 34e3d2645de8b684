-- Counts the events behind `since`, up to `upto`, by namespace and hour, and moves the
-- cursor behind the last; no row: there is none. The log has no holes and shows its events
-- in their order, so nothing comes later into what was counted. Written in the order of the
-- key, as everybody does who writes several of these rows: so nobody waits in a circle.
WITH stretch AS (
    SELECT namespace, date_trunc('hour', recorded_at, 'UTC') AS hour,
           count(*) AS events, max(seq) AS last
    FROM events_event WHERE seq > %(since)s AND seq <= %(upto)s
    GROUP BY 1, 2
), added AS (
    INSERT INTO namespaces_usage AS usage (namespace, hour, events, refused)
    SELECT namespace, hour, events, 0 FROM stretch ORDER BY namespace, hour
    ON CONFLICT (namespace, hour) DO UPDATE SET events = usage.events + excluded.events
)
UPDATE namespaces_usagecursor SET seq = stretch.last
FROM (SELECT max(last) AS last FROM stretch) AS stretch
WHERE stretch.last IS NOT NULL
RETURNING stretch.last
