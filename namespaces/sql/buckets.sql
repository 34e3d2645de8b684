-- What namespaces have spent of their rate limit, and how long ago that was, in
-- microseconds. For who holds the log's lock: nobody spends meanwhile.
SELECT namespace, spent,
       greatest(extract(epoch FROM clock_timestamp() - at) * 1000000, 0)::bigint
FROM namespaces_bucket WHERE namespace = ANY ($1::text[])
