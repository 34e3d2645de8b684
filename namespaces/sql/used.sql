-- Notes that tokens were used, which other processes may have noted just now. A row that
-- somebody changes is left for the next time: to wait in the order of rows for those who
-- take them in another would be a deadlock.
UPDATE namespaces_token SET last_used_at = now()
WHERE id IN (
    SELECT id FROM namespaces_token
    WHERE id = ANY (%s)
        AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED
)
