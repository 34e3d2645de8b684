-- Stored events as the JSON that clients get, the payload in its very text.
SELECT convert_to(string_agg(
    '{"eventId":' || to_json(event_id)::text
    || ',"stream":"' || stream
    || '","source":' || to_json(source)::text
    || ',"timestamp":' || occurred_at
    || ',"payload":' || payload
    || coalesce(',"key":' || to_json(key)::text, '')
    || coalesce(',"schema":' || to_json(schema)::text, '')
    || ',"seq":' || seq
    || ',"receivedAt":"' || to_char(recorded_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || '"}', ',' ORDER BY seq DESC), 'UTF8')
FROM events_event
WHERE seq = ANY(%s::bigint[])
