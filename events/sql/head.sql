-- Where the log ends, read after its lock was taken, in a statement of its own: a
-- statement's snapshot is older than its wait. The log itself is the head; it has no dead
-- rows. The time never runs backwards, so that `since` and `until` can bisect seq.
SELECT coalesce(last.seq, 0),
       greatest(clock_timestamp(), last.recorded_at),
       log.registry_version
FROM events_log AS log
LEFT JOIN LATERAL (
    SELECT seq, recorded_at FROM events_event ORDER BY seq DESC LIMIT 1
) AS last ON true
