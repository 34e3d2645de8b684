-- Events below a seq for people to look through, newest first, each with the beginning
-- of its payload.
SELECT seq, stream, source, entity_id, recorded_at, octet_length(payload),
       left(payload, %s)
FROM events_event
WHERE seq < %s
ORDER BY seq DESC
LIMIT %s
