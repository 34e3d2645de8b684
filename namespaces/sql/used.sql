-- Notes that tokens were used, which other processes may have noted just now. Gives those
-- that somebody else changes at this moment, which are not waited for: to wait in the
-- order of rows for who takes them in another would be a deadlock.
WITH due AS (
    SELECT id FROM namespaces_token
    WHERE id = ANY (%s)
        AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
), free AS (
    SELECT token.id FROM namespaces_token AS token JOIN due USING (id)
    FOR NO KEY UPDATE OF token SKIP LOCKED
), noted AS (
    UPDATE namespaces_token SET last_used_at = now()
    WHERE id IN (SELECT id FROM free)
)
SELECT id FROM due WHERE id NOT IN (SELECT id FROM free)
