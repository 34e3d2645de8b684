-- The next version of the registry. The row stays locked until the change commits, so
-- versions become visible in their order, and a reader of one has all before it.
UPDATE events_log SET registry_version = registry_version + 1 RETURNING registry_version
