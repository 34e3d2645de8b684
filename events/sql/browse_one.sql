-- One event with everything that is stored of it; its time as text, because a producer's
-- clock may be beyond what Python's dates can say.
SELECT seq, event_id, stream, source, key, schema, namespace, entity_id, token,
       occurred_at, to_char(to_timestamp(occurred_at / 1000.0),
                            'YYYY-MM-DD HH24:MI:SS.MS "UTC"'),
       recorded_at, octet_length(payload), left(payload, %s)
FROM events_event
WHERE seq = %s
