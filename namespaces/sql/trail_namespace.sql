-- The newest entries about one namespace, among those looked at.
SELECT id, at, actor, channel, address, action, target, before, after
FROM (
    SELECT * FROM namespaces_auditentry ORDER BY id DESC LIMIT %(window)s
) AS looked_at
WHERE target = %(name)s OR starts_with(target, %(name)s || '/')
ORDER BY id DESC
LIMIT %(limit)s
