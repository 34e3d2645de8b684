-- What a namespace did in each of the last hours, those without anything too.
SELECT hour.at, coalesce(used.events, 0), coalesce(used.refused, 0)
FROM generate_series(
    date_trunc('hour', now()) - make_interval(hours => %(hours)s - 1),
    date_trunc('hour', now()), interval '1 hour'
) AS hour (at)
LEFT JOIN namespaces_usage AS used
    ON used.namespace = %(name)s AND used.hour = hour.at
ORDER BY hour.at
