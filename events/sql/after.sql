-- A stretch of the log behind $1, up to $2, for listeners: what lies in a range of ids,
-- bounded in bytes ($3). Also how many match in the stretch, to know whether it was cut.
SELECT seq, event_id, namespace, entity_id, source, recorded_at, payload, matching
FROM (
    SELECT seq, event_id, namespace, entity_id, source, recorded_at, payload,
           count(*) OVER () AS matching,
           sum(octet_length(payload)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING)
           - octet_length(payload) AS before
    FROM events_event
    WHERE seq > $1::bigint AND seq <= $2::bigint
      AND entity_id >= $4::text AND ($5::text IS NULL OR entity_id < $5::text)
      AND (NOT $6::bool OR namespace = 'default')
) AS page
WHERE before < $3::bigint
ORDER BY seq
