-- The newest events of a window of the whole log that pass the filters. There is no index
-- for them (each costs every write), so the window bounds what a request reads.
WITH stretch AS NOT MATERIALIZED (
    SELECT * FROM events_event WHERE seq >= %s AND seq < %s ORDER BY seq DESC LIMIT %s
)
SELECT seq, octet_length(payload)
FROM stretch
WHERE (%s::text IS NULL OR stream = %s) AND (%s::text IS NULL OR source = %s)
  AND (%s::text IS NULL OR namespace = %s)
ORDER BY seq DESC
LIMIT %s
