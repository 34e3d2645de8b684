-- The newest event below a window, which is there only when older ones remain.
SELECT seq FROM events_event WHERE seq >= %s AND seq < %s
ORDER BY seq DESC OFFSET %s LIMIT 1
