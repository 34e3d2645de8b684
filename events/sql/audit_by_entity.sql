-- A stretch of the log in the order (entity, seq), bounded in rows and bytes, for who
-- derives one entity after the other. Paged by key; a value that is left out is never
-- read from its toast table.
SELECT entity_id, seq, recorded_at, convert_to(payload, 'UTF8')
FROM (
    SELECT *, sum(octet_length(payload)) OVER (
        ORDER BY entity_id, seq ROWS UNBOUNDED PRECEDING
    ) - octet_length(payload) AS before
    FROM (
        SELECT entity_id, seq, recorded_at, payload
        FROM events_event
        WHERE (entity_id, seq) > (%s, %s) AND seq <= %s
        ORDER BY entity_id, seq
        LIMIT %s
    ) AS stretch
) AS page
WHERE before < %s
ORDER BY entity_id, seq
