-- Forgets what is older than anybody looks at, a bounded part of it at a time.
DELETE FROM namespaces_usage AS usage
USING (
    SELECT namespace, hour FROM namespaces_usage
    WHERE hour < now() - %(days)s * interval '1 day'
    ORDER BY hour LIMIT %(most)s
) AS old
WHERE usage.namespace = old.namespace AND usage.hour = old.hour
