-- Paid purchases that should have their namespace by now, and have none. What is
-- disputed waits for the end of that. Those that are paid are few, and found by index.
SELECT count(*) FROM namespaces_purchase
WHERE state = 'paid' AND disputed_at IS NULL AND paid_at < now() - interval '1 minute'
