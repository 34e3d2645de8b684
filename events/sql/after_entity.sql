-- The same for one entity ($4), by the index (entity_id, seq).
SELECT seq, event_id, namespace, entity_id, source, recorded_at, payload, found
FROM (
    SELECT *, count(*) OVER () AS found,
           sum(octet_length(payload)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING)
           - octet_length(payload) AS before
    FROM (
        SELECT seq, event_id, namespace, entity_id, source, recorded_at, payload
        FROM events_event
        WHERE entity_id = $4::text AND seq > $1::bigint AND seq <= $2::bigint
        ORDER BY seq
        LIMIT $5::integer
    ) AS stretch
) AS page
WHERE before < $3::bigint
ORDER BY seq
