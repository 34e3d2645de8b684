-- Events of the log behind $1, up to $2, for listeners: what lies in a range of ids ($4 to
-- $5), at most $7 of them and $3 bytes. Also how many were found before the bytes were
-- counted, to know whether the answer is all there is. The limit stands inside, so that
-- nothing behind it is read.
SELECT seq, event_id, namespace, entity_id, source, recorded_at, payload, found
FROM (
    SELECT *, count(*) OVER () AS found,
           sum(octet_length(payload)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING)
           - octet_length(payload) AS before
    FROM (
        SELECT seq, event_id, namespace, entity_id, source, recorded_at, payload
        FROM events_event
        WHERE seq > $1::bigint AND seq <= $2::bigint
          AND entity_id >= $4::text AND ($5::text IS NULL OR entity_id < $5::text)
          AND (NOT $6::bool OR namespace = 'default')
        ORDER BY seq
        LIMIT $7::integer
    ) AS stretch
) AS page
WHERE before < $3::bigint
ORDER BY seq
