-- Which log this is, and the version of the registry, as the writers read it under the
-- log's lock.
SELECT log_id, registry_version FROM events_log
