-- The newest events of one entity that pass the filters, by the index (entity_id, seq).
WITH stretch AS NOT MATERIALIZED (
    SELECT * FROM events_event WHERE entity_id = %s AND seq >= %s AND seq < %s
    ORDER BY seq DESC LIMIT %s
)
SELECT seq, octet_length(payload)
FROM stretch
WHERE (%s::text IS NULL OR stream = %s) AND (%s::text IS NULL OR source = %s)
  AND (%s::text IS NULL OR namespace = %s)
ORDER BY seq DESC
LIMIT %s
