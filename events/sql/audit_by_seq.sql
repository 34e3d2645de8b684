-- A stretch of the log in its own order, bounded in rows and bytes.
SELECT entity_id, seq, recorded_at, convert_to(payload, 'UTF8')
FROM (
    SELECT *, sum(octet_length(payload)) OVER (
        ORDER BY seq ROWS UNBOUNDED PRECEDING
    ) - octet_length(payload) AS before
    FROM (
        SELECT entity_id, seq, recorded_at, payload
        FROM events_event
        WHERE seq > %s AND seq <= %s
        ORDER BY seq
        LIMIT %s
    ) AS stretch
) AS page
WHERE before < %s
ORDER BY seq
