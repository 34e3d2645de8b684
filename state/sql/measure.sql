-- How large an entity would be with a change applied: bytes of its text form, and its
-- properties. Asked only for entities near a limit, since it walks the whole value.
SELECT octet_length(next::text), (SELECT count(*) FROM jsonb_object_keys(next))
FROM (
    SELECT (coalesce(
        (SELECT properties FROM state_entity WHERE id = %s AND NOT %s), '{}'
    ) - %s::text[]) || %s::jsonb AS next
) AS trial
