-- Where the log stood at moments of the past hour: for each, the first seq recorded then
-- or later, by halving as in bisect.sql. moment -1 is ten seconds ago; n from 0 on, the
-- beginning of the minute n minutes before the running one.
SELECT moment.n, (
    WITH RECURSIVE halving (low, high) AS (
        SELECT 1::bigint, coalesce((SELECT max(seq) FROM events_event), 0) + 1
      UNION ALL
        SELECT CASE WHEN middle.recorded_at < moment.at THEN middle.seq + 1 ELSE low END,
               CASE WHEN middle.recorded_at < moment.at THEN high ELSE middle.seq END
        FROM halving
        JOIN LATERAL (
            SELECT seq, recorded_at FROM events_event WHERE seq = (low + high) / 2
        ) AS middle ON true
        WHERE low < high
    )
    SELECT low FROM halving WHERE low = high
), extract(epoch FROM moment.at)::bigint,
   coalesce((SELECT max(seq) FROM events_event), 0)
FROM (
    SELECT n::bigint, CASE
        WHEN n < 0 THEN now() - interval '10 seconds'
        ELSE date_trunc('minute', now()) - n * interval '1 minute' END AS at
    FROM generate_series(-1, 59) AS n
) AS moment
ORDER BY moment.n
