-- Notes that tokens were used, which other processes may have noted just now.
UPDATE namespaces_token SET last_used_at = now()
WHERE id = ANY (%s)
    AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
