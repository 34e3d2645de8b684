-- The same for one entity, by the index (entity_id, seq).
SELECT seq, stream, source, entity_id, recorded_at, octet_length(payload),
       left(payload, %s)
FROM events_event
WHERE entity_id = %s AND seq < %s
ORDER BY seq DESC
LIMIT %s
