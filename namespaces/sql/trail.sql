-- A page of the audit log: of the newest entries below an id, those that match.
SELECT id, at, actor, channel, address, action, target, before, after
FROM (
    SELECT * FROM namespaces_auditentry
    WHERE id < %(before)s ORDER BY id DESC LIMIT %(window)s
) AS looked_at
WHERE (%(action)s::text = '' OR action = %(action)s)
    AND (%(search)s::text = '' OR strpos(lower(actor), lower(%(search)s)) > 0
        OR strpos(lower(target), lower(%(search)s)) > 0)
ORDER BY id DESC
LIMIT %(limit)s
