-- The first seq recorded at a moment or later, by halving: recorded_at never runs
-- backwards along seq, and seq has no holes.
WITH RECURSIVE halving (low, high) AS (
    SELECT 1::bigint, coalesce((SELECT max(seq) FROM events_event), 0) + 1
  UNION ALL
    SELECT CASE WHEN middle.recorded_at < %s THEN middle.seq + 1 ELSE low END,
           CASE WHEN middle.recorded_at < %s THEN high ELSE middle.seq END
    FROM halving
    JOIN LATERAL (
        SELECT seq, recorded_at FROM events_event WHERE seq = (low + high) / 2
    ) AS middle ON true
    WHERE low < high
)
SELECT low FROM halving WHERE low = high
