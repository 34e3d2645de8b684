-- Where the log ends, and which log it is. Read after its lock was taken, in a statement of
-- its own: a statement's snapshot is older than its wait. The log itself is the head; it
-- has no dead rows.
SELECT coalesce(last.seq, 0), coalesce(last.event_id, ''), log_id, registry_version
FROM events_log LEFT JOIN LATERAL (
    SELECT seq, event_id FROM events_event ORDER BY seq DESC LIMIT 1
) AS last ON true
