-- What is wrong with a stretch of the log, beginning with the last event of the stretch
-- before: holes, times that run backwards, and ids that only a client can have given (the
-- server's are UUIDv7) but that are not known any more. Also how many it looked at, and
-- the last of them.
WITH stretch AS (
    SELECT seq, namespace, event_id, stream, recorded_at,
           coalesce(lag(seq) OVER (ORDER BY seq), 0) AS previous_seq,
           lag(recorded_at) OVER (ORDER BY seq) AS previous_time
    FROM (
        SELECT seq, namespace, event_id, stream, recorded_at
        FROM events_event WHERE seq >= %s AND seq <= %s ORDER BY seq LIMIT %s
    ) AS page
), found AS (
    SELECT seq, 'seq' AS what, (previous_seq + 1)::text AS expected, seq::text AS stored
    FROM stretch WHERE seq > %s AND seq <> previous_seq + 1
  UNION ALL
    SELECT seq, 'recorded_at', 'not before ' || previous_time, recorded_at::text
    FROM stretch WHERE recorded_at < previous_time
  UNION ALL
    SELECT seq, 'known id', event_id, NULL
    FROM stretch
    WHERE seq > %s
      AND event_id !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
      AND NOT EXISTS (
          SELECT FROM events_idempotency AS known
          WHERE known.digest = sha256(
              convert_to(namespace, 'UTF8') || '\x00'::bytea
              || convert_to(event_id, 'UTF8'))
      )
)
SELECT (SELECT count(*) FROM stretch WHERE seq > %s), (SELECT max(seq) FROM stretch),
       (SELECT count(*) FROM found),
       (SELECT jsonb_agg(first) FROM (SELECT * FROM found ORDER BY seq LIMIT %s) AS first)
