-- The tokens that changed, or whose namespace did, since a version of the registry: one
-- row for each secret, and one without a digest for a token that has none left. (Not
-- now(): a transaction may have begun before what it is to see. A union, as an OR over
-- two tables would read both whole.)
WITH changed AS (
    SELECT id FROM namespaces_token WHERE version > %(since)s
    UNION
    SELECT token.id FROM namespaces_namespace AS namespace
    JOIN namespaces_token AS token ON token.namespace_id = namespace.id
    WHERE namespace.version > %(since)s
)
SELECT token.id, secret.digest, namespace.name, token.prefix, token.scopes,
       namespace.suspended_at IS NOT NULL,
       extract(epoch FROM least(token.expires_at, secret.valid_until))::float8
FROM changed
JOIN namespaces_token AS token ON token.id = changed.id
JOIN namespaces_namespace AS namespace ON namespace.id = token.namespace_id
LEFT JOIN namespaces_secret AS secret
    ON secret.token_id = token.id
    AND token.revoked_at IS NULL AND namespace.deleted_at IS NULL
    AND coalesce(secret.valid_until, 'infinity') > clock_timestamp()
