-- A stretch of the known client-given ids: does each name the event that it was made
-- for? How many, the last of them, and those that do not.
WITH stretch AS (
    SELECT known.digest, known.seq, known.stream AS known_stream, event.stream,
           sha256(
               convert_to(event.namespace, 'UTF8') || '\x00'::bytea
               || convert_to(event.event_id, 'UTF8')
           ) AS made_from
    FROM (
        SELECT * FROM events_idempotency
        WHERE digest > %s ORDER BY digest LIMIT %s
    ) AS known
    LEFT JOIN events_event AS event ON event.seq = known.seq
), found AS (
    SELECT seq, 'known id' AS what, made_from::text || ' ' || stream AS expected,
           digest::text || ' ' || known_stream AS stored
    FROM stretch
    WHERE (made_from, stream) IS DISTINCT FROM (digest, known_stream)
)
SELECT (SELECT count(*) FROM stretch),
       (SELECT digest FROM stretch ORDER BY digest DESC LIMIT 1),
       (SELECT count(*) FROM found),
       (SELECT jsonb_agg(first) FROM (SELECT * FROM found ORDER BY seq LIMIT %s) AS first)
