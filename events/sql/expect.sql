-- Ends the transaction, by a division by zero, unless the log ends where its caller
-- expects it; asked under the log's lock, in a statement of its own.
SELECT 1 / (
    coalesce((
        SELECT (seq, event_id) = ($1::bigint, $2::text)
        FROM events_event ORDER BY seq DESC LIMIT 1
    ), $1::bigint = 0)
    AND EXISTS (
        SELECT FROM events_log WHERE log_id = $3::uuid AND registry_version = $4::bigint
    )
)::integer
