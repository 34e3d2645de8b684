-- Where the log ends, which log it is, and which event stands at $1: whether a reader that
-- stopped there can go on, or reads another log by now.
SELECT coalesce((SELECT seq FROM events_event ORDER BY seq DESC LIMIT 1), 0), log_id,
       (SELECT event_id FROM events_event WHERE seq = $1::bigint)
FROM events_log
