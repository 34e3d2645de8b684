-- Namespaces for people to look through, in the order of names, with what each has and
-- did. All that is summed up is asked for by key, for the namespaces shown alone.
SELECT shown.id, shown.name, shown.created_at, shown.suspended_at,
       shown.suspended_because, shown.deleted_at,
       coalesce((SELECT entities FROM state_count WHERE namespace = shown.name), 0),
       used.events, used.refused,
       (SELECT count(*) FROM namespaces_token AS token
        WHERE token.namespace_id = shown.id AND token.revoked_at IS NULL
            AND coalesce(token.expires_at, 'infinity') > now()
            AND shown.deleted_at IS NULL),
       coalesce((SELECT email FROM namespaces_owner WHERE id = shown.owner_id), ''),
       coalesce((SELECT id FROM namespaces_purchase
                 WHERE namespace_id = shown.id), '')
FROM (
    SELECT * FROM namespaces_namespace
    WHERE name > %(after)s
        AND (%(names)s::text[] IS NULL OR name = ANY (%(names)s::text[]))
        AND (%(search)s::text = '' OR strpos(name, %(search)s) > 0)
        AND (%(state)s::text = '' OR %(state)s = CASE
            WHEN deleted_at IS NOT NULL THEN 'deleted'
            WHEN suspended_at IS NOT NULL THEN 'suspended' ELSE 'active' END)
    ORDER BY name LIMIT %(limit)s
) AS shown
CROSS JOIN LATERAL (
    SELECT coalesce(sum(events), 0)::bigint AS events,
           coalesce(sum(refused), 0)::bigint AS refused
    FROM namespaces_usage
    WHERE namespace = shown.name
        AND hour > date_trunc('hour', now()) - interval '24 hours'
) AS used
ORDER BY shown.name
