-- Takes one job from a worker that is no more, so that another does it again.
--
-- A worker is no more when it has no row, or its last sign of life is older than
-- `seconds`. The jobs of `mine`, who asks, are never taken: its own sign may be late,
-- as after a time in which the whole machine stood still. The row is locked before it
-- is judged, as several may ask at once: procrastinate's own recipe, which looks first
-- and puts back later, could take a job away from the worker that has just begun it.
-- A job whose queueing lock another one holds cannot wait beside it; that one does the
-- same work, so this one is no longer needed.
WITH stalled AS MATERIALIZED (
    SELECT
        job.id,
        job.task_name,
        EXISTS (
            SELECT FROM procrastinate_jobs AS other
            WHERE other.status = 'todo' AND other.queueing_lock = job.queueing_lock
        ) AS is_needless
    FROM procrastinate_jobs AS job
    WHERE job.status = 'doing'
        AND (job.worker_id = %(mine)s::bigint) IS NOT TRUE
        AND NOT EXISTS (
            SELECT FROM procrastinate_workers AS worker
            WHERE worker.id = job.worker_id
                AND worker.last_heartbeat > now() - make_interval(secs => %(seconds)s)
        )
    ORDER BY job.id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
SELECT
    id,
    task_name,
    CASE WHEN is_needless
        THEN procrastinate_finish_job_v1(id, 'aborted', true)::text
        ELSE procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL)::text
    END
FROM stalled
