-- Paid purchases that should have their namespace by now, and have none; and calls of a
-- provider that nobody could handle. What is disputed waits for the end of that. All of
-- them are few, and found by index.
SELECT (SELECT count(*) FROM namespaces_purchase
        WHERE state = 'paid' AND disputed_at IS NULL
            AND paid_at < now() - interval '1 minute')
     + (SELECT count(*) FROM namespaces_providerevent
        WHERE handled_at IS NULL AND received_at < now() - interval '5 minutes')
