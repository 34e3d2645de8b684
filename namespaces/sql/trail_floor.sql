-- Where the window of a page ended, if there are older entries below it.
SELECT floor FROM (
    SELECT min(id) AS floor, count(*) AS entries FROM (
        SELECT id FROM namespaces_auditentry
        WHERE id < %(before)s ORDER BY id DESC LIMIT %(window)s
    ) AS looked_at
) AS ends
WHERE entries = %(window)s
    AND EXISTS (SELECT FROM namespaces_auditentry WHERE id < floor)
